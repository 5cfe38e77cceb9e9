#include "server/rpc/watched_connection.h"

#include <sys/socket.h>

#include <optional>

namespace predictd {
namespace {

// How many bytes between two looks make a connection busy, and how many since the last judgement are worth another.
constexpr int64_t kBusyBytes = 64 << 10;

}  // namespace

bool WatchedConnection::Look(TimePoint now) {
  const std::optional<SocketTraffic> traffic = ReadTraffic(socket_.get());
  busy_ = traffic.has_value() && traffic->read_bytes - traffic_.read_bytes >= kBusyBytes;
  if (!traffic.has_value()) return false;
  traffic_ = *traffic;
  looked_at_ = now;
  connection_->NoteRoundTrip(traffic_.round_trip);
  calls_ = connection_->counts();
  // Until its first call, nobody needs the connection's data fast, and gRPC reads all that is waiting before it ends a
  // connection.
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
  return calls.begun != calls_.begun || calls.ended != calls_.ended || calls.message_bytes != calls_.message_bytes ||
         calls.messages_served != calls_.messages_served;
}

std::optional<Verdict> WatchedConnection::Judge() {
  if (!std::exchange(to_judge_, false) || over_) return std::nullopt;
  const CallCounts calls = connection_->counts();
  if (strikes_ > 0 && !held_back_ && calls.answered() > answered_at_strike_) {
    strikes_ = 0;
    WidenWindow(socket_.get());
  }
  return ledger_.Look(
      {.at = looked_at_, .read_bytes = traffic_.read_bytes, .written_bytes = traffic_.written_bytes, .calls = calls});
}

double WatchedConnection::Resets(TimePoint now) const {
  if (over_) return 0;
  // The bytes stay as they were, because no more is known of them.
  ConnectionSnapshot snapshot = ledger_.last();
  snapshot.at = now;
  snapshot.calls = connection_->counts();
  ConnectionLedger ledger = ledger_;
  (void)ledger.Look(snapshot);
  return ledger.resets();
}

void WatchedConnection::AddStrike() {
  answered_at_strike_ = connection_->counts().answered();
  ++strikes_;
}

void WatchedConnection::Trust() {
  if (std::exchange(doubted_at_, TimePoint()) == TimePoint()) return;
  LetGo();
  if (widened_ && strikes_ == 0) WidenWindow(socket_.get());
}

bool WatchedConnection::HoldBack(TimePoint now) {
  held_back_at_ = now;
  held_back_ = predictd::HoldBack(socket_.get());
  return held_back_;
}

void WatchedConnection::LetGo() {
  if (std::exchange(held_back_, false)) predictd::LetGo(socket_.get());
}

void WatchedConnection::ShutDown() {
  // A peer that is held back would never learn that the connection is gone.
  LetGo();
  over_ = true;
  // The connection ends with a reset when the last descriptor is closed. Otherwise the peer, which may wait for room in
  // our buffer, would learn of it minutes later.
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  shutdown(socket_.get(), SHUT_RDWR);
}

}  // namespace predictd
