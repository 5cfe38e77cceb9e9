#include "server/telemetry/call_span.h"

#include <opentelemetry/semconv/incubating/rpc_attributes.h>
#include <opentelemetry/trace/span_startoptions.h>

#include <string>
#include <utility>
#include <variant>

#include "server/telemetry/call_span_impl.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

namespace trace = opentelemetry::trace;
using SystemTimestamp = opentelemetry::common::SystemTimestamp;
using SteadyTimestamp = opentelemetry::common::SteadyTimestamp;

constexpr size_t kMaxString = 2048;
constexpr int kMaxEvents = 128;
constexpr int kUnknown = 2;

opentelemetry::nostd::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

void Set(trace::Span& span, std::string_view key, const FieldValue& value) {
  if (const auto* text = std::get_if<std::string_view>(&value.variant())) {
    span.SetAttribute(View(key), ToUtf8(*text, kMaxString));
  } else if (const auto* integer = std::get_if<int64_t>(&value.variant())) {
    span.SetAttribute(View(key), *integer);
  } else if (const auto* real = std::get_if<double>(&value.variant())) {
    span.SetAttribute(View(key), *real);
  } else {
    span.SetAttribute(View(key), std::get<bool>(value.variant()));
  }
}

// Which gRPC codes are errors on the server's side, by OpenTelemetry's RPC conventions.
bool IsServerFault(int grpc_code) {
  switch (grpc_code) {
    case kUnknown:
    case 4:   // DEADLINE_EXCEEDED
    case 12:  // UNIMPLEMENTED
    case 13:  // INTERNAL
    case 14:  // UNAVAILABLE
    case 15:  // DATA_LOSS
      return true;
    default:
      return false;
  }
}

}  // namespace

CallSpan::CallSpan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

CallSpan::~CallSpan() {
  End(kUnknown, "the call ended without a status");
}

std::string_view CallSpan::trace_id() const {
  return {impl_->trace_id.data(), impl_->trace_id.size()};
}

std::string CallSpan::traceparent() const {
  char span_id[2 * trace::SpanId::kSize];
  impl_->span->GetContext().span_id().ToLowerBase16(span_id);
  return "00-" + std::string(trace_id()) + "-" + std::string(span_id, sizeof(span_id)) + "-01";
}

void CallSpan::SetAttribute(std::string_view key, FieldValue value) {
  Set(*impl_->span, key, value);
}

void CallSpan::AddEvent(std::string_view name) {
  if (impl_->events == kMaxEvents) {
    ++impl_->dropped_events;
    return;
  }
  ++impl_->events;
  const SystemTimestamp now(impl_->ToSystem(std::chrono::steady_clock::now()));
  impl_->span->AddEvent(ToUtf8(name, kMaxString), now);
}

void CallSpan::AddPhase(std::string_view name, std::chrono::steady_clock::time_point start,
                        std::chrono::steady_clock::time_point end, absl::Span<const Field> attributes) {
  if (impl_->ended) return;
  trace::StartSpanOptions options;
  options.start_system_time = SystemTimestamp(impl_->ToSystem(start));
  options.start_steady_time = SteadyTimestamp(start);
  options.parent = impl_->span->GetContext();
  const auto phase = impl_->tracer->StartSpan(View(name), options);
  for (const Field& attribute : attributes) Set(*phase, attribute.key, attribute.value);
  trace::EndSpanOptions end_options;
  end_options.end_steady_time = SteadyTimestamp(end);
  phase->End(end_options);
}

void CallSpan::End(int grpc_code, std::string_view message) {
  if (impl_->ended) return;
  impl_->ended = true;
  trace::Span& span = *impl_->span;
  span.SetAttribute(opentelemetry::semconv::rpc::kRpcGrpcStatusCode, static_cast<int64_t>(grpc_code));
  if (IsServerFault(grpc_code)) {
    span.SetStatus(trace::StatusCode::kError, ToUtf8(message, kMaxString));
  } else if (!message.empty()) {
    Set(span, "predictd.status_message", message);
  }
  if (impl_->dropped_events > 0) Set(span, "predictd.dropped_events", impl_->dropped_events);
  span.End();
}

}  // namespace predictd
