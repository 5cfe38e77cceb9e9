#ifndef PREDICTD_SERVER_ENGINE_WARM_UP_H_
#define PREDICTD_SERVER_ENGINE_WARM_UP_H_

#include <atomic>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/engine/batch_cost.h"
#include "server/model/model.h"
#include "server/model/signature.h"

namespace predictd {

// The extents of one batch that a version runs before it serves.
struct WarmUpBatch {
  int64_t rows = 1;
  // One for each of the signature's padded lengths.
  std::vector<int64_t> lengths;
  // Whether it is neither a single row nor the largest batch, and so is left out when time is short.
  bool optional = false;
  // Whether it has as many rows as a batch may have, at the largest lengths, and the most elements of those.
  bool largest = false;
  // Which of the signature's samples it is made of.
  size_t sample = 0;

  bool operator==(const WarmUpBatch&) const = default;
};

// The batches that are worth running, from small to large: for every sample and every bucket of a padded length (with
// several lengths, the buckets of the same rank) a single row, the largest batch, and the powers of two between. Open
// dimensions whose extent is unknown get `open_extent`. Leaves out batches that are too large to make just for this,
// and those beyond a bounded number.
std::vector<WarmUpBatch> PlanWarmUp(const Signature& signature, int64_t open_extent = 1);

// Measures the memory that runs need. Begin and Peak are called on the thread of the run.
class MemoryGauge {
 public:
  virtual ~MemoryGauge() = default;
  // Bytes that are still available to models.
  virtual int64_t Left() = 0;
  // Restarts the measurement of this thread's peak.
  virtual void Begin() = 0;
  // The most that this thread has held at a time since Begin, beyond what it held before.
  virtual int64_t Peak() = 0;
};

struct WarmUpOptions {
  // Runs of each batch. Cheap batches run three times in any case.
  int rounds = 3;
  // An optional batch runs only if all runs together will probably have taken no more than this time; a batch that is
  // not optional runs all its rounds only then.
  Duration budget = std::chrono::seconds(5);
  // The same limit for a single run of a batch that is not optional.
  Duration longest = std::chrono::seconds(20);
  // If set, each run of the model is given to it, which calls it on the thread that is to be warm and returns once it
  // has run; otherwise it runs on this thread.
  std::function<void(const std::function<void()>& run)> run = nullptr;
  // If set, becomes true once the model is no longer needed. Checked between runs.
  const std::atomic<bool>* stopping = nullptr;
  // If set, a batch runs only if `concurrency` such batches will probably fit into `memory_left` bytes.
  MemoryGauge* memory = nullptr;
  int64_t memory_left = std::numeric_limits<int64_t>::max();
  int concurrency = 1;
};

struct WarmUpRun {
  int64_t rows = 1;
  std::vector<int64_t> lengths;
  // The time of the last round.
  Duration took{};
  // Which of the signature's samples it ran on; nullopt if there are none.
  std::optional<size_t> sample = {};
};

struct WarmUpReport {
  // The least thread time that the largest batch took; nullopt if it did not run.
  std::optional<Duration> largest;
  // The number of batches that are not optional and were left out because they would have taken too long.
  int64_t left_out = 0;
  // The most rows of a batch that there is memory for. If these are fewer than the signature's, `shortage` says why.
  int64_t most_rows = 1;
  std::string shortage;
  // The peak of the batch that needed the most memory; 0 if it was not measured.
  int64_t peak_bytes = 0;
  std::vector<WarmUpRun> runs;
  // The extent that was used for open dimensions whose extent is unknown.
  int64_t open_extent = 1;
};

// Runs the model on the signature's samples (or else on the values of its inputs, or on zeros) in the planned batches,
// and records the cost of the last run of each. Where there is too little memory for a batch, later batches are smaller
// than it. Returns the model's error, or an error if the outputs do not match the signature; INVALID_ARGUMENT if a
// sample is not within the model's limits; RESOURCE_EXHAUSTED if there is not even memory for a single row; CANCELLED
// if it was stopped. A model that does not take extents of 1 is tried with larger ones.
absl::StatusOr<WarmUpReport> WarmUp(Model& model, const Signature& signature, const WarmUpOptions& options,
                                    const Clock& clock, BatchCost& cost);

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_WARM_UP_H_
