// What is known about a call beside its answer.
#ifndef PREDICTD_CLIENT_CALL_INFO_H_
#define PREDICTD_CLIENT_CALL_INFO_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/error_details.h"
#include "client/server_timing.h"

namespace predictd {

// Filled when a call has ended, well or not. A plain value.
struct CallInfo {
  // The metadata after the last message. Keys that end in "-bin" hold bytes.
  std::multimap<std::string, std::string> trailers;
  // The trailer `server-timing`; empty if the server sent none.
  std::vector<TimingMetric> timings;
  // From the call's start to its end, as this client saw it.
  absl::Duration elapsed;
  // Who answered, as in "ipv4:127.0.0.1:8500"; empty if no connection was made.
  std::string peer;
  // Set when the call failed.
  std::optional<ErrorDetails> error;
};

// The first trailer of that name; empty if there is none.
std::string TrailerValue(const CallInfo& info, const std::string& name);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_CALL_INFO_H_
