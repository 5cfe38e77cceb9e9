#ifndef PREDICTD_SERVER_KERNELS_TEAM_H_
#define PREDICTD_SERVER_KERNELS_TEAM_H_

#include <atomic>
#include <cstdint>
#include <thread>

#include "server/kernels/kernels.h"

namespace predictd {

// Where the threads of a team wait for each other. A step meets at it hundreds of times, microseconds apart, so who
// waits does so awake. But a thread may have lost its processor to others, and then the one that waits for it must
// give up its own: first for a moment, then until it is woken.
class Barrier {
 public:
  // `members` is the same in all calls.
  void Wait(int members) {
    if (members == 1) return;
    const int round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == members - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      // Notifying looks whether someone sleeps: not before those who are about to can see the new round.
      round_.store(round + 1, std::memory_order_seq_cst);
      round_.notify_all();
      return;
    }
    for (int i = 0; i < kSpins + kYields; ++i) {
      if (round_.load(std::memory_order_acquire) != round) return;
      if (i < kSpins) {
        Pause();
      } else {
        std::this_thread::yield();
      }
    }
    round_.wait(round, std::memory_order_acquire);
  }

 private:
  // Tens of microseconds, longer than the parts of a step differ.
  static constexpr int kSpins = 1000;
  static constexpr int kYields = 100;

  static void Pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  // Not in one cache line: one is written by all, the other is read by those who wait.
  alignas(64) std::atomic<int> arrived_ = 0;
  alignas(64) std::atomic<int> round_ = 0;
};

// One thread of several that run the same function at once.
struct Member {
  int index = 0;
  int count = 1;
  Barrier* barrier = nullptr;

  void Meet() const { barrier->Wait(count); }
  // Its part of so many things that cost the same.
  Span Share(int64_t things) const { return {things * index / count, things * (index + 1) / count}; }
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_TEAM_H_
