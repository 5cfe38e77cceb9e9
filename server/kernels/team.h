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

  // The range of this part among `things` things that cost the same.
  Span Of(int64_t things) const { return {things * index / count, things * (index + 1) / count}; }
};

// Work that the threads of a team do together, phase after phase: a phase begins when the one before it is done. A step
// has hundreds of phases that last microseconds each.
//
// Members take parts of a phase as they arrive, and nobody waits for a member that has nothing to do: a thread that
// lost its processor to other processes delays the team only if it was computing, and finds the phases that it missed
// done.
class Team {
 public:
  // A team for at most `phases` phases. It must live until all members have done them.
  explicit Team(int64_t phases) : phases_(static_cast<size_t>(phases)) {}

 private:
  friend class Member;
  struct alignas(64) Phase {
    // The next part to be taken, and the number of parts that are done.
    std::atomic<int64_t> next = 0;
    std::atomic<int64_t> done = 0;
  };

  std::vector<Phase> phases_;
};

// One thread of a team. All members call the same functions in the same order.
class Member {
 public:
  Member(int index, int count, Team& team) : index_(index), count_(count), team_(team) {}

  // Between 0 and the number of members - 1.
  int index() const { return index_; }

  // Calls use(Part) for parts of `things` things, until all members together have done all of them. Every member then
  // sees what the others have written.
  template <class Use>
  void Divide(int64_t things, Use use) {
    Team::Phase& phase = team_.phases_[phase_++];
    if (count_ == 1) return use(Part{});
    const int64_t parts = std::clamp<int64_t>(things, 1, kPartsPerMember * count_);
    int64_t mine = 0;
    for (int64_t part = 0; (part = phase.next.fetch_add(1, std::memory_order_relaxed)) < parts; ++mine) {
      use(Part{.index = part, .count = parts});
    }
    // Notifying checks whether a member sleeps. That check must not come before members that are about to sleep can see
    // that everything is done.
    if (mine > 0 && phase.done.fetch_add(mine, std::memory_order_seq_cst) + mine == parts) {
      phase.done.notify_all();
      return;
    }
    Wait(phase.done, parts);
  }

 private:
  // More parts even out differences between members, and cost a tenth of a microsecond each.
  static constexpr int64_t kPartsPerMember = 4;
  // The number of checks before a member sleeps: about as long as a part may take.
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
