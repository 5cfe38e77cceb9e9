#ifndef PREDICTD_SERVER_ENGINE_APART_PACE_H_
#define PREDICTD_SERVER_ENGINE_APART_PACE_H_

#include <algorithm>

#include "server/async/clock.h"

namespace predictd {

// When batches of those that are kept apart (see Quarantine) have their turn. While others use the model, these get one
// part in five of one worker's time: one batch at a time, and after each a rest for four times as long. Others use the
// model if they have done so a moment ago. Not thread-safe.
class ApartPace {
 public:
  static constexpr int kRestForRun = 4;
  static constexpr Duration kLongestRest = std::chrono::seconds(1);
  static constexpr Duration kMoment = std::chrono::milliseconds(100);

  // From when on such a batch may run; kNever while one does. `alone`: nobody else waits.
  TimePoint From(TimePoint now, bool alone) const {
    if (runs_) return kNever;
    return std::max(now, std::min(rests_until_, alone ? last_of_others_ + kMoment : kNever));
  }

  // A batch was taken to be run, of those or of others.
  void OnTaken(bool apart, TimePoint now) {
    if (apart) {
      runs_ = true;
    } else {
      last_of_others_ = now;
    }
  }
  // One of those that are kept apart has ended, after so long.
  void OnEnded(Duration took, TimePoint now) {
    runs_ = false;
    rests_until_ = now + std::min(kRestForRun * took, kLongestRest);
  }

 private:
  bool runs_ = false;
  TimePoint rests_until_;
  TimePoint last_of_others_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_APART_PACE_H_
