#ifndef PREDICTD_SERVER_RPC_LOOP_PROBE_H_
#define PREDICTD_SERVER_RPC_LOOP_PROBE_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "server/async/clock.h"
#include "server/rpc/event_loop.h"

namespace predictd {

// Finds out whether the event loops come back: a probe is back once every loop has handled what was ready when it was
// sent. One probe at a time; used by one thread.
class LoopProbe {
 public:
  // The loops run as long as probes are out.
  explicit LoopProbe(const std::vector<std::unique_ptr<EventLoop>>& loops);

  // False if it went not to all loops, for want of memory.
  bool Send();
  // All loops have handled what was ready when the last probe was sent.
  bool back() const { return left_.load(std::memory_order_acquire) == 0; }
  // The most processor time that a loop has used since then without coming back. Time in which it was not running does
  // not count: that is nobody's doing.
  Duration held_up() const;
  // Whether, since this was asked last, a loop had always something to do, and at least half a processor to do it with.
  // One that gets less of it is behind because of others, not of what it is sent.
  bool Saturated(TimePoint now);

 private:
  struct Sent {
    explicit Sent(EventLoop& loop) : loop(loop) {}
    EventLoop& loop;
    Duration cpu_time{};
    // When Saturated was asked last.
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
