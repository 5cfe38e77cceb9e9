// What is known about a call besides its answer.
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
inline namespace client {

// Filled when a call has ended, successfully or not. A plain value.
struct CallInfo {
  // The metadata after the last message. The values of keys that end in "-bin" are bytes.
  std::multimap<std::string, std::string> trailers;
  // The trailer `server-timing`; empty if the server sent none.
  std::vector<TimingMetric> timings;
  // The time from the call's start to its end, as measured by this client.
  absl::Duration elapsed;
  // The peer that answered, such as "ipv4:127.0.0.1:8500"; empty if no connection was made.
  std::string peer;
  // Set if the call failed.
  std::optional<ErrorDetails> error;
};

// The first trailer with that name; empty if there is none.
std::string TrailerValue(const CallInfo& info, const std::string& name);

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_CALL_INFO_H_
