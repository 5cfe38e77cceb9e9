#ifndef PREDICTD_SERVER_MODEL_WAITING_ORDER_H_
#define PREDICTD_SERVER_MODEL_WAITING_ORDER_H_

#include <algorithm>
#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// How urgent a request is among those of its model: 0 is the least.
inline constexpr int64_t kMaxPriority = 4;
inline constexpr int64_t kDefaultPriority = 2;
// A level of priority is worth so much of deadline.
inline constexpr Duration kPriorityLevel = std::chrono::seconds(10);
// Who has no deadline, or a later one, waits as if it were that far away.
inline constexpr Duration kPatience = std::chrono::seconds(30);

// Where a request stands that comes now: before those with a greater value. As every place is a fixed time, and later
// requests get later ones, nothing starves.
inline TimePoint WaitingPlace(TimePoint deadline, int64_t priority, TimePoint now) {
  return std::min(deadline, now + kPatience) + (kMaxPriority - priority) * kPriorityLevel;
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_WAITING_ORDER_H_
