#include "server/engine/admission.h"

#include <algorithm>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/async/retry_advice.h"
#include "server/async/work_status.h"

namespace predictd {

Duration TimeToAnswer(const LoadAhead& load, const BatchCost& cost) {
  const int64_t batches_ahead = load.rows_ahead / load.max_batch_rows;
  // While other requests wait, later ones fill up its batch.
  const int64_t own_rows = batches_ahead > 0 ? load.max_batch_rows : load.rows_ahead + load.rows;
  const double ahead = static_cast<double>(cost.Estimate(load.max_batch_rows).count()) *
                       static_cast<double>(batches_ahead) / std::max(load.workers, 0.01);
  // More than a day is as good as never.
  const auto bounded = static_cast<Duration::rep>(std::min(ahead, 86400e9));
  return load.until_free + Duration(bounded) + cost.Estimate(std::max(own_rows, load.rows));
}

absl::Duration RetryDelay(Duration time) {
  return std::clamp(absl::FromChrono(time), absl::Milliseconds(1), absl::Seconds(10));
}

absl::Status MissStatus(Duration time, Duration left) noexcept {
  const auto rounded = [](Duration d) {
    return absl::FormatDuration(absl::Trunc(absl::FromChrono(d), absl::Microseconds(100)));
  };
  try {
    const std::string message = absl::StrCat("the request would miss its deadline: an answer takes about ",
                                             rounded(time), ", and ", rounded(left), " are left");
    return WithRetryAfter(absl::ResourceExhaustedError(message), RetryDelay(time));
  } catch (const std::bad_alloc&) {
    return OutOfMemoryStatus();
  }
}

}  // namespace predictd
