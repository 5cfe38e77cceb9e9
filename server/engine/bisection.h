#ifndef PREDICTD_SERVER_ENGINE_BISECTION_H_
#define PREDICTD_SERVER_ENGINE_BISECTION_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/async/clock.h"
#include "server/engine/job.h"

namespace predictd {

// The jobs of a batch that have not ended, and which of them run together next. At first all of them do; if that run
// fails, bisection searches for the job that makes it fail.
//
// A search runs half of the jobs among which there must be a culprit, until a single job fails: log2 n runs. Then all
// remaining jobs, about which nothing is known, run together, and if they fail, the next search begins. After kSearches
// searches each remaining job runs alone. So one culprit among n jobs costs at most log2 n + 3 runs (9 of 64), and no
// batch costs more than n + kSearches * (log2 n + 1) runs, whichever jobs are culprits. If memory is short, the
// remaining jobs end instead, since more runs would not find any. Not thread-safe; nothing throws.
class Bisection {
 public:
  static constexpr int kSearches = 3;

  Bisection() = default;
  explicit Bisection(std::vector<std::shared_ptr<Job>> jobs) noexcept : jobs_(std::move(jobs)) {}

  bool empty() const { return begin_ == jobs_.size(); }
  size_t size() const { return jobs_.size() - begin_; }
  // Rows of the jobs that run next.
  int64_t NextRows() const;

  // The jobs that run next. They stay so until OnWorked or OnFailed. Drops jobs that have ended, and ends those whose
  // deadline has passed; if none is left, there is no run.
  absl::Span<const std::shared_ptr<Job>> Next(TimePoint now) noexcept;

  // The run succeeded and ended its jobs.
  void OnWorked() noexcept;
  // The run failed and ended no job. Ends the jobs that no further run can help, with that status.
  void OnFailed(absl::Status status) noexcept;

  // Ends all remaining jobs.
  void EndAll(absl::Status status) noexcept;

 private:
  void DropEnded(TimePoint now) noexcept;
  size_t NextSize() const;

  std::vector<std::shared_ptr<Job>> jobs_;
  // Index of the first job that has not ended.
  size_t begin_ = 0;
  // The number of jobs from `begin_` on among which there is a culprit; 0 if nothing is known.
  size_t suspects_ = 0;
  // The number of these jobs that run now.
  size_t part_ = 0;
  int searches_ = 0;
  bool alone_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_BISECTION_H_
