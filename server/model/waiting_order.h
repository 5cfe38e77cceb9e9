#ifndef PREDICTD_SERVER_MODEL_WAITING_ORDER_H_
#define PREDICTD_SERVER_MODEL_WAITING_ORDER_H_

#include <algorithm>
#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// A request's priority among those of its model runs from 0, the least urgent, to kMaxPriority.
inline constexpr int64_t kMaxPriority = 4;
inline constexpr int64_t kDefaultPriority = 2;
// A level of priority is worth this much deadline.
inline constexpr Duration kPriorityLevel = std::chrono::seconds(10);
// A request without a deadline, or with a later one, waits as if its deadline were this far away.
inline constexpr Duration kPatience = std::chrono::seconds(30);

// The place in the queue of a request that arrives now: it runs before those with a later place. As every place is a
// fixed time, and later requests get later ones, no request starves.
inline TimePoint WaitingPlace(TimePoint deadline, int64_t priority, TimePoint now) {
  return std::min(deadline, now + kPatience) + (kMaxPriority - priority) * kPriorityLevel;
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_WAITING_ORDER_H_
