#ifndef PREDICTD_SERVER_KERNELS_TEAM_H_
#define PREDICTD_SERVER_KERNELS_TEAM_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "server/kernels/kernels.h"

namespace predictd {

// One of the parts into which work is divided.
struct Part {
  int64_t index = 0;
  int64_t count = 1;

  // Its part of so many things that cost the same.
  Span Of(int64_t things) const { return {things * index / count, things * (index + 1) / count}; }
};

// Work that the threads of a team do together, phase after phase: a phase begins when the one before it is done. A step
// has hundreds of them, microseconds long.
//
// Members take parts of a phase as they come, and none waits for one who has nothing to do: a thread that has lost its
// processor to others holds up the team only if it was computing, and finds the phases done that it missed.
class Team {
 public:
  // Of at most so many phases. Lives until all members have done them.
  explicit Team(int64_t phases) : phases_(static_cast<size_t>(phases)) {}

 private:
  friend class Member;
  struct alignas(64) Phase {
    // The next part to be taken, and how many are done.
    std::atomic<int64_t> next = 0;
    std::atomic<int64_t> done = 0;
  };

  std::vector<Phase> phases_;
};

// One thread of a team. All members call the same functions in the same order.
class Member {
 public:
  Member(int index, int count, Team& team) : index_(index), count_(count), team_(team) {}

  // From 0 up to the number of members.
  int index() const { return index_; }

  // Calls use(Part) for parts of so many things, until all members together have done all. What they have written is
  // then seen by all.
  template <class Use>
  void Divide(int64_t things, Use use) {
    Team::Phase& phase = team_.phases_[phase_++];
    if (count_ == 1) return use(Part{});
    const int64_t parts = std::clamp<int64_t>(things, 1, kPartsPerMember * count_);
    int64_t mine = 0;
    for (int64_t part = 0; (part = phase.next.fetch_add(1, std::memory_order_relaxed)) < parts; ++mine) {
      use(Part{.index = part, .count = parts});
    }
    // Notifying looks whether someone sleeps: not before those who are about to can see that all is done.
    if (mine > 0 && phase.done.fetch_add(mine, std::memory_order_seq_cst) + mine == parts) {
      phase.done.notify_all();
      return;
    }
    Wait(phase.done, parts);
  }

 private:
  // More parts even out what members differ by, and cost a tenth of a microsecond each.
  static constexpr int64_t kPartsPerMember = 4;
  // About as long as a part may take.
  static constexpr int kSpins = 300;

  static void Wait(const std::atomic<int64_t>& done, int64_t parts) {
    for (int i = 0; i < kSpins; ++i) {
      if (done.load(std::memory_order_acquire) == parts) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    for (int64_t now = 0; (now = done.load(std::memory_order_acquire)) != parts;) {
      done.wait(now, std::memory_order_acquire);
    }
  }

  const int index_;
  const int count_;
  Team& team_;
  size_t phase_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_TEAM_H_
