#ifndef PREDICTD_SERVER_TELEMETRY_TRACEPARENT_H_
#define PREDICTD_SERVER_TELEMETRY_TRACEPARENT_H_

#include <optional>
#include <string_view>

namespace predictd {

// A W3C trace context header, "traceparent". The ids are views into the header, in lower-case hexadecimal.
struct Traceparent {
  std::string_view trace_id;   // 32 digits, not all zero
  std::string_view parent_id;  // 16 digits, not all zero
  bool sampled = false;
};

// Returns nullopt if the header is absent (empty) or malformed, which are the same to W3C. Versions above 00 are read
// as far as version 00 goes. Allocates nothing.
std::optional<Traceparent> ParseTraceparent(std::string_view header);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_TRACEPARENT_H_
