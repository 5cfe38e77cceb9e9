#ifndef PREDICTD_SERVER_ENGINE_WARM_UP_H_
#define PREDICTD_SERVER_ENGINE_WARM_UP_H_

#include <vector>

#include "absl/status/status.h"
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

  bool operator==(const WarmUpBatch&) const = default;
};

// What is worth running: for every bucket of a padded length (of several, the buckets of the same rank) a single row
// and the largest batch, then the powers of two between. Leaves out batches too large to make for nothing, and what
// goes beyond a bounded number.
std::vector<WarmUpBatch> PlanWarmUp(const Signature& signature);

struct WarmUpOptions {
  // Runs of each batch.
  int rounds = 3;
  // When so much time is spent, optional batches are left out.
  Duration budget = std::chrono::seconds(5);
};

// Runs the model on zeros, on this thread, in the planned batches, and records what the last run of each cost. Returns
// what the model returned if that was an error or not what its signature says.
absl::Status WarmUp(Model& model, const Signature& signature, const WarmUpOptions& options, const Clock& clock,
                    BatchCost& cost);

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_WARM_UP_H_
