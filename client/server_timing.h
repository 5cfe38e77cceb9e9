// The trailer `server-timing`: how much time a call took in each stage on the server.
#ifndef PREDICTD_CLIENT_SERVER_TIMING_H_
#define PREDICTD_CLIENT_SERVER_TIMING_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace predictd {
inline namespace client {

// One entry of W3C Server-Timing, such as `forward;dur=0.31` or `batch;desc="8"`.
struct TimingMetric {
  std::string name;
  std::optional<absl::Duration> duration;
  std::string description;

  bool operator==(const TimingMetric&) const = default;
};

// The entries in the order in which they were sent. As W3C requires, entries that do not follow the syntax are left
// out, and so are parameters other than `dur` and `desc`.
std::vector<TimingMetric> ParseServerTiming(absl::string_view header);

// The first entry with that name, or null.
const TimingMetric* FindTiming(const std::vector<TimingMetric>& timings, absl::string_view name);

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_SERVER_TIMING_H_
