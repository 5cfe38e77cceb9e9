#include "server/rpc/loop_probe.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace predictd {

LoopProbe::LoopProbe(const std::vector<std::unique_ptr<EventLoop>>& loops) {
  for (const auto& loop : loops) sent_.push_back(std::make_unique<Sent>(*loop));
}

bool LoopProbe::Send() {
  bool sent_to_all = true;
  left_.store(sent_.size(), std::memory_order_release);
  for (auto& sent : sent_) {
    sent->cpu_time = sent->loop.CpuTime();
    sent->back.store(false, std::memory_order_relaxed);
    const auto arrive = [this, &sent = *sent] {
      sent.back.store(true, std::memory_order_relaxed);
      left_.fetch_sub(1, std::memory_order_acq_rel);
    };
    try {
      sent->loop.Post(arrive);
    } catch (const std::exception&) {
      // Nobody may wait for a probe that was not sent.
      arrive();
      sent_to_all = false;
    }
  }
  return sent_to_all;
}

Duration LoopProbe::held_up() const {
  Duration most{};
  for (const auto& sent : sent_) {
    if (sent->back.load(std::memory_order_relaxed)) continue;
    most = std::max(most, sent->loop.CpuTime() - sent->cpu_time);
  }
  return most;
}

bool LoopProbe::Saturated(TimePoint now) {
  const Duration elapsed = now - std::exchange(asked_at_, now);
  bool saturated = false;
  for (auto& sent : sent_) {
    const Duration used_time = sent->loop.CpuTime();
    const Duration runnable_time = sent->loop.RunnableTime();
    const Duration used = used_time - std::exchange(sent->used_time, used_time);
    const Duration runnable = runnable_time - std::exchange(sent->runnable_time, runnable_time);
    if (runnable >= elapsed * 9 / 10 && used >= elapsed / 2) saturated = true;
  }
  return saturated;
}

}  // namespace predictd
