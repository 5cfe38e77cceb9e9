#ifndef PREDICTD_SERVER_RPC_LOOP_PROBE_H_
#define PREDICTD_SERVER_RPC_LOOP_PROBE_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "server/async/clock.h"
#include "server/rpc/event_loop.h"

namespace predictd {

// Finds out whether the event loops come back: a probe is back once every loop has handled what was ready when the
// probe was sent. There is one probe at a time. Used by one thread.
class LoopProbe {
 public:
  // The loops must run as long as a probe is under way.
  explicit LoopProbe(const std::vector<std::unique_ptr<EventLoop>>& loops);

  // Sends a probe. Returns false if it did not reach all loops, for want of memory.
  bool Send();
  // Returns whether all loops have handled what was ready when the last probe was sent.
  bool back() const { return left_.load(std::memory_order_acquire) == 0; }
  // The most processor time that a loop has used since then without coming back. Time in which the loop was not running
  // does not count, because no peer is to blame for it.
  Duration held_up() const;
  // Returns whether, since this was last asked, a loop always had something to do, and at least half a processor to do
  // it with. A loop that gets less processor time is behind because of others, not because of what it is sent.
  bool Saturated(TimePoint now);

 private:
  struct Sent {
    explicit Sent(EventLoop& loop) : loop(loop) {}
    EventLoop& loop;
    Duration cpu_time{};
    // Both are from when Saturated was last asked.
    Duration used_time{};
    Duration runnable_time{};
    std::atomic<bool> back{true};
  };
  std::vector<std::unique_ptr<Sent>> sent_;
  std::atomic<size_t> left_{0};
  TimePoint asked_at_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_LOOP_PROBE_H_
