#ifndef PREDICTD_SERVER_ENGINE_WARM_UP_H_
#define PREDICTD_SERVER_ENGINE_WARM_UP_H_

#include <atomic>
#include <optional>
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
  // For each of the signature's padded lengths.
  std::vector<int64_t> lengths;
  // Neither a single row nor the largest batch: left out when time is short.
  bool optional = false;
  // As many rows as a batch may have, of the largest lengths.
  bool largest = false;

  bool operator==(const WarmUpBatch&) const = default;
};

// What is worth running, from small to large: for every bucket of a padded length (of several, the buckets of the same
// rank) a single row, the largest batch, and the powers of two between. Leaves out batches too large to make for
// nothing, and what goes beyond a bounded number.
std::vector<WarmUpBatch> PlanWarmUp(const Signature& signature);

struct WarmUpOptions {
  // Runs of each batch. Cheap ones run three times in any case.
  int rounds = 3;
  // An optional batch runs if it will probably be through in this time, counted from the beginning, and one that is not
  // optional runs as often as it is to.
  Duration budget = std::chrono::seconds(5);
  // The same for one run of a batch that is not optional.
  Duration longest = std::chrono::seconds(20);
  // If set, true from some time on: nobody needs the model any more. Looked at between runs.
  const std::atomic<bool>* stopping = nullptr;
};

struct WarmUpReport {
  // What the largest batch took of its thread's time, at best; nullopt if it did not run.
  std::optional<Duration> largest;
  // Batches that are not optional and would have taken too long.
  int64_t left_out = 0;
};

// Runs the model on zeros, on this thread, in the planned batches, and records what the last run of each cost. Returns
// what the model returned if that was an error or not what its signature says; CANCELLED if it was stopped.
absl::StatusOr<WarmUpReport> WarmUp(Model& model, const Signature& signature, const WarmUpOptions& options,
                                    const Clock& clock, BatchCost& cost);

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_WARM_UP_H_
