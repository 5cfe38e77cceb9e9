#include "server/rpc/watched_connection.h"

#include <sys/socket.h>

#include <optional>

namespace predictd {
namespace {

// What makes a connection busy between two looks, and worth a judgement since the last one.
constexpr int64_t kBusyBytes = 64 << 10;

}  // namespace

bool WatchedConnection::Look(TimePoint now) {
  const std::optional<SocketTraffic> traffic = ReadTraffic(socket_.get());
  busy_ = traffic.has_value() && traffic->read_bytes - traffic_.read_bytes >= kBusyBytes;
  if (!traffic.has_value()) return false;
  traffic_ = *traffic;
  looked_at_ = now;
  calls_ = connection_->counts();
  // Until then what waits to be read is nothing that anybody needs fast, and gRPC reads it all before it ends.
  if (!widened_ && calls_.begun > 0) {
    widened_ = true;
    WidenWindow(socket_.get());
  }
  const ConnectionSnapshot& last = ledger_.last();
  const bool arriving = ledger_.half_sent_bytes() > 0 &&
                        (traffic_.read_bytes != last.read_bytes || calls_.awaiting() != last.calls.awaiting());
  to_judge_ = arriving || held_back_ || traffic_.read_bytes - last.read_bytes >= kBusyBytes;
  return to_judge_;
}

bool WatchedConnection::HasTooManyCalls(const ConnectionPolicy& policy) {
  const bool too_many = !over_ && policy.max_open_calls > 0 && connection_->open() > policy.max_open_calls;
  return std::exchange(too_many_calls_, too_many) && too_many;
}

int64_t WatchedConnection::ReadSinceLook() const {
  const std::optional<SocketTraffic> traffic = ReadTraffic(socket_.get());
  return traffic.has_value() && !over_ ? traffic->read_bytes - traffic_.read_bytes : 0;
}

bool WatchedConnection::MovedSinceLook() const {
  const CallCounts calls = connection_->counts();
  return calls.begun != calls_.begun || calls.ended != calls_.ended;
}

Verdict WatchedConnection::Judge() {
  if (!std::exchange(to_judge_, false) || over_) return Verdict::kKeep;
  const CallCounts calls = connection_->counts();
  if (strikes_ > 0 && !held_back_ && calls.ended - calls.cancelled > answered_at_strike_) {
    strikes_ = 0;
    WidenWindow(socket_.get());
  }
  return ledger_.Look(
      {.at = looked_at_, .read_bytes = traffic_.read_bytes, .written_bytes = traffic_.written_bytes, .calls = calls});
}

double WatchedConnection::Resets(TimePoint now) const {
  if (over_) return 0;
  // The bytes are left as they were: of those no more is known.
  ConnectionSnapshot snapshot = ledger_.last();
  snapshot.at = now;
  snapshot.calls = connection_->counts();
  ConnectionLedger ledger = ledger_;
  (void)ledger.Look(snapshot);
  return ledger.resets();
}

bool WatchedConnection::HoldBack(TimePoint now) {
  const CallCounts calls = connection_->counts();
  answered_at_strike_ = calls.ended - calls.cancelled;
  ++strikes_;
  held_back_at_ = now;
  held_back_ = predictd::HoldBack(socket_.get());
  return held_back_;
}

void WatchedConnection::LetGo() {
  if (std::exchange(held_back_, false)) predictd::LetGo(socket_.get());
}

void WatchedConnection::ShutDown() {
  // What is held back would never learn that the connection is gone.
  LetGo();
  over_ = true;
  // With a reset when the last descriptor is closed. Else the other end, which may wait for room in our buffer, would
  // learn of it minutes later.
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  shutdown(socket_.get(), SHUT_RDWR);
}

}  // namespace predictd
