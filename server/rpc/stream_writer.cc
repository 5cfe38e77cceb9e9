#include "server/rpc/stream_writer.h"

#include <algorithm>

#include "absl/time/time.h"
#include "server/rpc/operation.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

// What a reader gets to take the last message and the status, after the call was stopped.
constexpr Duration kStoppedGrace = std::chrono::milliseconds(200);

// Longer than any call, and short enough to be added to a time.
constexpr Duration kForever = std::chrono::hours(24 * 365);

}  // namespace

StreamWriter::StreamWriter(Call& call)
    : call_(call), transport_(&call.context()), watch_(call.loop().timers(), [this] { Check(); }) {}

void StreamWriter::Begin() {
  on_stop_.emplace(call_.stop(), [this] { OnStop(); });
  Check();
}

void StreamWriter::OnStop() {
  // A handler that stops its own call has no write out, and is not on the loop, where timers live.
  if (call_.stop().reason() != StopReason::kFailed) watch_.Arm(steady_clock::now() + kStoppedGrace);
}

// Timers belong to the loop, writes start on any thread: so the loop looks when a write may have waited too long
// instead of being told of each.
void StreamWriter::Check() {
  const TimePoint now = steady_clock::now();
  const int64_t since = waiting_since_.load(std::memory_order_acquire);
  const Duration waited = since == 0 ? Duration::zero() : now - TimePoint(Duration(since));
  const absl::Duration configured = call_.environment().stall_timeout;
  const Duration limit = configured > absl::ZeroDuration() ? absl::ToChronoNanoseconds(configured) : kForever;
  watch_.Arm(now + std::max(kStoppedGrace, limit - waited));
  if (waited >= limit) call_.stop().RequestStop(StopReason::kStalled);
  // The write that is out ends only when the reader reads or the call dies.
  if (call_.stop().stopped() && waited >= kStoppedGrace) call_.context().TryCancel();
}

Task<bool> StreamWriter::Write(const grpc::ByteBuffer& message, bool more_follows) {
  waiting_since_.store(steady_clock::now().time_since_epoch().count(), std::memory_order_release);
  grpc::WriteOptions options;
  if (more_follows) options.set_buffer_hint();
  Operation write([this, &message, options](void* tag) { transport_.Write(message, options, tag); });
  const bool ok = co_await write;
  waiting_since_.store(0, std::memory_order_release);
  co_return ok;
}

}  // namespace predictd
