#ifndef PREDICTD_SERVER_ENGINE_ADMISSION_H_
#define PREDICTD_SERVER_ENGINE_ADMISSION_H_

#include <cstdint>

#include "server/async/clock.h"
#include "server/engine/batch_cost.h"

namespace predictd {

// What a request meets when it asks to be queued.
struct LoadAhead {
  // Of those that would run before it, and its own.
  int64_t rows_ahead = 0;
  int64_t rows = 1;
  int64_t max_batch_rows = 1;
  // Workers that its model can count on while others want them too; may be a fraction.
  double workers = 1;
  // Until the first of them is free.
  Duration until_free = Duration::zero();
};

// How long the request would take to be answered: the batches ahead of it, and its own.
Duration TimeToAnswer(const LoadAhead& load, const BatchCost& cost);

// Whether a request that is to be answered within `left` should be refused at once. Half as much again as is expected
// must fit: what is admitted to a full queue is always close to the limit, and would often be late otherwise.
inline bool WouldMissDeadline(Duration time_to_answer, Duration left) {
  return time_to_answer + time_to_answer / 2 > left;
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_ADMISSION_H_
