// Answers and how calls ended, for programs.
#ifndef PREDICTD_CLIENT_PREDICTCTL_JSON_OUTPUT_H_
#define PREDICTD_CLIENT_PREDICTCTL_JSON_OUTPUT_H_

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "client/call_info.h"
#include "client/error_details.h"

namespace predictd {

// A message in protobuf's JSON mapping, with the field names of the .proto files. Error details of a type that this
// program does not know are left out, because that mapping cannot represent them.
nlohmann::ordered_json MessageJson(const google::protobuf::Message& message);

// {"queue_ms": 0.04, "forward_ms": 0.31, "batch": "8", "round_trip_ms": 0.9}
nlohmann::ordered_json TimingsJson(const CallInfo& info);

// {"code": "INVALID_ARGUMENT", "message": "...", "field_violations": [{"field": ..., "description": ...}],
//  "retry_after_ms": 50}, the last two only if there are any.
nlohmann::ordered_json ErrorJson(const ErrorDetails& error);

// {"end": {"code": "OK", "timings": {...}}}: the last line of a stream; after a failure with ErrorJson's fields.
nlohmann::ordered_json EndJson(const absl::Status& status, const CallInfo& info);

// A document on several lines, or on one line; without a newline at the end. Bytes that are not UTF-8 are replaced.
std::string JsonDocument(const nlohmann::ordered_json& json);
std::string JsonLine(const nlohmann::ordered_json& json);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_JSON_OUTPUT_H_
