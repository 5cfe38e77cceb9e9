#include "server/engine/admission.h"

#include <algorithm>

namespace predictd {

Duration TimeToAnswer(const LoadAhead& load, const BatchCost& cost) {
  const int64_t batches_ahead = load.rows_ahead / load.max_batch_rows;
  // While others wait, its own batch is filled up by those that come later.
  const int64_t own_rows = batches_ahead > 0 ? load.max_batch_rows : load.rows_ahead + load.rows;
  const double ahead = static_cast<double>(cost.Estimate(load.max_batch_rows).count()) *
                       static_cast<double>(batches_ahead) / std::max(load.workers, 0.01);
  // What is beyond a day is as good as never.
  const auto bounded = static_cast<Duration::rep>(std::min(ahead, 86400e9));
  return load.until_free + Duration(bounded) + cost.Estimate(std::max(own_rows, load.rows));
}

}  // namespace predictd
