// The trailer `server-timing`: where a call's time went on the server.
#ifndef PREDICTD_CLIENT_SERVER_TIMING_H_
#define PREDICTD_CLIENT_SERVER_TIMING_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace predictd {

// One entry of W3C Server-Timing, as in `forward;dur=0.31` or `batch;desc="8"`.
struct TimingMetric {
  std::string name;
  std::optional<absl::Duration> duration;
  std::string description;

  bool operator==(const TimingMetric&) const = default;
};

// The entries in the order in which they were sent. What does not follow the syntax is left out, and so are
// parameters other than `dur` and `desc`, as W3C wants it.
std::vector<TimingMetric> ParseServerTiming(absl::string_view header);

// The first entry of that name, or null.
const TimingMetric* FindTiming(const std::vector<TimingMetric>& timings, absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_SERVER_TIMING_H_
