#include "server/telemetry/otlp_json.h"

#include <opentelemetry/sdk/trace/span_data.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <type_traits>
#include <utility>

namespace predictd {
namespace {

namespace sdk = opentelemetry::sdk;
using Json = nlohmann::json;

template <typename Id>
std::string Hex(const Id& id) {
  std::array<char, 2 * Id::kSize> digits;
  id.ToLowerBase16(digits);
  return std::string(digits.data(), digits.size());
}

std::string String(opentelemetry::nostd::string_view text) {
  return std::string(text.data(), text.size());
}

// An OTLP AnyValue for a scalar.
template <typename T>
Json AnyValue(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return {{"boolValue", value}};
  } else if constexpr (std::is_integral_v<T>) {
    return {{"intValue", std::to_string(value)}};
  } else if constexpr (std::is_same_v<T, double>) {
    return {{"doubleValue", value}};
  } else {
    return {{"stringValue", value}};
  }
}

template <typename T>
Json AnyValue(const std::vector<T>& values) {
  Json items = Json::array();
  for (const T value : values) items.push_back(AnyValue(value));
  return {{"arrayValue", {{"values", std::move(items)}}}};
}

Json AnyValue(const std::vector<std::string>& values) {
  Json items = Json::array();
  for (const std::string& value : values) items.push_back(AnyValue(value));
  return {{"arrayValue", {{"values", std::move(items)}}}};
}

Json KeyValues(const std::unordered_map<std::string, sdk::common::OwnedAttributeValue>& attributes) {
  Json list = Json::array();
  for (const auto& [key, value] : attributes) {
    Json any = opentelemetry::nostd::visit([](const auto& v) { return AnyValue(v); }, value);
    list.push_back({{"key", key}, {"value", std::move(any)}});
  }
  return list;
}

std::string UnixNanos(std::chrono::nanoseconds since_epoch) {
  return std::to_string(since_epoch.count());
}

Json SpanToJson(const sdk::trace::SpanData& span) {
  const std::chrono::nanoseconds start = span.GetStartTime().time_since_epoch();
  Json json = {
      {"traceId", Hex(span.GetTraceId())},
      {"spanId", Hex(span.GetSpanId())},
      {"flags", span.GetSpanContext().trace_flags().flags()},
      {"name", String(span.GetName())},
      // OTLP counts from SPAN_KIND_UNSPECIFIED, which the library's enum does not have.
      {"kind", static_cast<int>(span.GetSpanKind()) + 1},
      {"startTimeUnixNano", UnixNanos(start)},
      {"endTimeUnixNano", UnixNanos(start + span.GetDuration())},
      {"attributes", KeyValues(span.GetAttributes())},
  };
  if (span.GetParentSpanId().IsValid()) json["parentSpanId"] = Hex(span.GetParentSpanId());
  const std::string trace_state = span.GetSpanContext().trace_state()->ToHeader();
  if (!trace_state.empty()) json["traceState"] = trace_state;
  for (const sdk::trace::SpanDataEvent& event : span.GetEvents()) {
    json["events"].push_back(
        {{"timeUnixNano", UnixNanos(event.GetTimestamp().time_since_epoch())}, {"name", event.GetName()}});
  }
  if (span.GetStatus() != opentelemetry::trace::StatusCode::kUnset) {
    json["status"] = {{"code", static_cast<int>(span.GetStatus())}, {"message", String(span.GetDescription())}};
  }
  return json;
}

}  // namespace

std::string ToOtlpJsonLine(const opentelemetry::nostd::span<std::unique_ptr<sdk::trace::Recordable>>& spans) {
  Json list = Json::array();
  for (const auto& recordable : spans) list.push_back(SpanToJson(static_cast<sdk::trace::SpanData&>(*recordable)));
  const auto& first = static_cast<sdk::trace::SpanData&>(*spans[0]);
  const auto& scope = first.GetInstrumentationScope();
  const Json scope_spans = {{"scope", {{"name", scope.GetName()}, {"version", scope.GetVersion()}}},
                            {"spans", std::move(list)}};
  const Json resource_spans = {{"resource", {{"attributes", KeyValues(first.GetResource().GetAttributes())}}},
                               {"scopeSpans", Json::array({scope_spans})}};
  const Json traces = {{"resourceSpans", Json::array({resource_spans})}};
  return traces.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace predictd
