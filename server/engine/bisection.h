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

// The jobs of a batch that have not ended, and which of them run together next: all; and if that failed, who is to
// blame is searched for.
//
// A search runs half of those among whom somebody is to blame, until one fails alone: log2 n runs. Then all that are
// left run together, of whom nothing is known, and if they fail, the next search begins. After kSearches of them each
// of the others runs alone. So one job of n that is to blame costs log2 n + 3 runs at most (9 of 64), and no batch
// costs more than n + kSearches * (log2 n + 1) runs, whoever is to blame. If it is memory that is missing, the others
// end instead: more runs would not find any. Not thread-safe; nothing throws.
class Bisection {
 public:
  static constexpr int kSearches = 3;

  Bisection() = default;
  explicit Bisection(std::vector<std::shared_ptr<Job>> jobs) noexcept : jobs_(std::move(jobs)) {}

  bool empty() const { return begin_ == jobs_.size(); }
  size_t size() const { return jobs_.size() - begin_; }
  // Rows of those that run next.
  int64_t NextRows() const;

  // Those that run next, until the outcome is told. Lets go of jobs that have ended, and ends those whose deadline has
  // passed; if nobody is left, there is no run.
  absl::Span<const std::shared_ptr<Job>> Next(TimePoint now) noexcept;

  // The run ended its jobs.
  void OnWorked() noexcept;
  // It ended none. Ends those with that status of whom it is known that nothing else will help.
  void OnFailed(absl::Status status) noexcept;

  // Gives up.
  void EndAll(absl::Status status) noexcept;

 private:
  void DropEnded(TimePoint now) noexcept;
  size_t NextSize() const;

  std::vector<std::shared_ptr<Job>> jobs_;
  // The first that has not ended.
  size_t begin_ = 0;
  // Of so many from there on somebody is to blame; 0: nothing is known.
  size_t suspects_ = 0;
  // So many of these run now.
  size_t part_ = 0;
  int searches_ = 0;
  bool alone_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_BISECTION_H_
