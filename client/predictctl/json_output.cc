#include "client/predictctl/json_output.h"

#include <google/protobuf/util/json_util.h>

#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {
namespace {

bool ToJson(const google::protobuf::Message& message, std::string& text) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  text.clear();
  return google::protobuf::util::MessageToJsonString(message, &text, options).ok();
}

}  // namespace

nlohmann::ordered_json MessageJson(const google::protobuf::Message& message) {
  std::string text;
  if (!ToJson(message, text)) {
    const std::unique_ptr<google::protobuf::Message> plain(message.New());
    plain->CopyFrom(message);
    if (auto* event = dynamic_cast<v1::PredictStreamResponse*>(plain.get()); event != nullptr && event->has_rows()) {
      event->mutable_rows()->mutable_error()->clear_details();
    }
    ToJson(*plain, text);
  }
  return nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

nlohmann::ordered_json TimingsJson(const CallInfo& info) {
  nlohmann::ordered_json timings = nlohmann::ordered_json::object();
  for (const TimingMetric& metric : info.timings) {
    if (metric.duration.has_value()) timings[metric.name + "_ms"] = absl::ToDoubleMilliseconds(*metric.duration);
    if (!metric.description.empty()) timings[metric.name] = metric.description;
  }
  timings["round_trip_ms"] = absl::ToDoubleMilliseconds(info.elapsed);
  return timings;
}

nlohmann::ordered_json ErrorJson(const ErrorDetails& error) {
  nlohmann::ordered_json json = {{"code", CodeName(error.code)}, {"message", error.message}};
  for (const FieldViolation& violation : error.field_violations) {
    json["field_violations"].push_back({{"field", violation.field}, {"description", violation.description}});
  }
  if (error.retry_after.has_value()) json["retry_after_ms"] = absl::ToDoubleMilliseconds(*error.retry_after);
  if (error.retry_forbidden) json["retry_after_ms"] = nullptr;
  return json;
}

nlohmann::ordered_json EndJson(const absl::Status& status, const CallInfo& info) {
  nlohmann::ordered_json end = {{"code", CodeName(status.code())}};
  if (!status.ok()) end = ErrorJson(info.error.value_or(ErrorDetails()));
  end["timings"] = TimingsJson(info);
  return {{"end", std::move(end)}};
}

std::string JsonDocument(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string JsonLine(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace predictd
