#ifndef PREDICTD_SERVER_ENGINE_RUNNER_STATISTICS_H_
#define PREDICTD_SERVER_ENGINE_RUNNER_STATISTICS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "server/async/clock.h"
#include "server/engine/inference.h"

namespace predictd {

// Sums over what one runner has done since it was made, apart from its warm-up. Unlike a histogram of metrics it tells
// batches of different sizes apart. Thread-safe and without locks: whoever reads while requests end may see a part of
// the last ones.
class RunnerStatistics {
 public:
  // How often something happened, and how long that took together.
  struct Sum {
    int64_t count = 0;
    Duration time{};
  };
  // Batches of one size.
  struct Batches {
    int64_t rows = 0;
    Sum runs = {};
  };
  struct Snapshot {
    // Requests that got an answer: from when they were queued to the end of their batch, and of that the time in the
    // queue and in the batch.
    Sum answered;
    Duration queued{};
    Duration computed{};
    // Requests that ended otherwise, from when they were queued. Those that were refused took no time.
    Sum failed;
    // Those of them that the model itself failed.
    int64_t broken = 0;
    // Batches that did not fail, and their rows.
    int64_t batches = 0;
    int64_t rows = 0;
    // When the last one ended; the clock's epoch if there was none.
    TimePoint last;
    // Those of 1 to kMostRows, the smallest first.
    std::vector<Batches> by_rows;
  };

  // Larger batches are not told apart.
  static constexpr int64_t kMostRows = 1024;

  explicit RunnerStatistics(int64_t max_rows);

  void OnBatch(int64_t rows, TimePoint started, TimePoint ended);
  void OnAnswered(const InferenceTimings& timings);
  // `broken` says whether it was the model that failed.
  void OnFailed(Duration took, bool broken);

  Snapshot Read() const;

 private:
  struct AtomicSum {
    std::atomic<int64_t> count{0};
    std::atomic<int64_t> nanos{0};

    void Add(Duration took);
    Sum Read() const;
  };

  const int64_t most_rows_;
  // Indexed by the rows less one.
  const std::unique_ptr<AtomicSum[]> by_rows_;
  AtomicSum answered_;
  std::atomic<int64_t> queued_nanos_{0};
  std::atomic<int64_t> computed_nanos_{0};
  AtomicSum failed_;
  std::atomic<int64_t> broken_{0};
  std::atomic<int64_t> batches_{0};
  std::atomic<int64_t> rows_{0};
  std::atomic<TimePoint> last_{TimePoint()};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_RUNNER_STATISTICS_H_
