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

  void Send();
  // All loops have handled what was ready when the last probe was sent.
  bool back() const { return left_.load(std::memory_order_acquire) == 0; }
  // The most processor time that a loop has used since then without coming back. Time in which it was not running does
  // not count: that is nobody's doing.
  Duration held_up() const;
  // The largest share of the time since this was asked last in which a loop had something to do.
  double Usage(TimePoint now);

 private:
  struct Sent {
    explicit Sent(EventLoop& loop) : loop(loop) {}
    EventLoop& loop;
    Duration cpu_time{};
    Duration runnable_time{};
    std::atomic<bool> back{true};
  };
  std::vector<std::unique_ptr<Sent>> sent_;
  std::atomic<size_t> left_{0};
  TimePoint asked_at_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_LOOP_PROBE_H_
