#include "server/rpc/connection_watch.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <new>
#include <optional>
#include <utility>

#include "server/telemetry/log.h"
#include "server/telemetry/log_limiter.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How often some connections are looked at: at the busy pace while one of them is busy, else at the calm one.
constexpr Duration kBusyPace = milliseconds(10);
constexpr Duration kCalmPace = milliseconds(50);
// Of the calm connections, each look takes the next part of the circle, at least kFewest and a kRounds-th of all; that
// takes some hundreds of microseconds.
constexpr size_t kFewest = 128;
constexpr size_t kRounds = 20;
// How much processor time an event loop may be held up before the connections that hold it up are held back, and for
// how long they are held back at least.
constexpr Duration kHeldUp = milliseconds(50);
constexpr Duration kPause = milliseconds(20);
// How long a bad verdict waits to be confirmed, and how long a connection is held back meanwhile at most.
constexpr Duration kDoubt = milliseconds(100);
constexpr Duration kLongPause = milliseconds(500);
// How many bytes a connection that holds up a loop has sent meanwhile, at least. Frames of a few bytes are five times
// as much. After a longer time fewer bytes are enough: calls that are reset at once are a megabyte for each 50 ms, and
// holding back a connection that does no more than that would make matters worse, as it comes back with everything that
// it has saved up.
constexpr int64_t kGreedyBytes = 2 << 20;
constexpr Duration kHeldUpLong = milliseconds(150);
constexpr int64_t kGreedyBytesLong = 256 << 10;
// A loop that is saturated for so many of these periods in a row has too much to do.
constexpr Duration kUsagePeriod = milliseconds(50);
constexpr int kSaturatedPeriods = 3;
// Otherwise each so many periods are enough to find those who cancel far too much.
constexpr int kCalmPeriods = 4;
// How often in a row a connection is held back, without an answered call in between, before it is shut down.
constexpr int kStrikes = 8;
// How long ended calls take to be gone, and for how long after its calls were ended a connection is closed instead of
// having its calls ended again.
constexpr Duration kShedTime = milliseconds(200);
constexpr Duration kShedAgain = std::chrono::seconds(2);

std::string_view Reason(Verdict verdict) {
  return verdict == Verdict::kNoise ? "noise" : "half_sent";
}

void LogFailure(const std::exception& failure) {
  static LogLimiter limiter(1, std::chrono::seconds(10));
  if (!limiter.Admit(steady_clock::now()).has_value()) return;
  try {
    Log(LogLevel::kError, "connections cannot be watched for now", {{"cause", failure.what()}});
  } catch (const std::bad_alloc&) {
    // The failure is then not logged.
    return;
  }
}

}  // namespace

ConnectionWatch::ConnectionWatch(const Options& options, ConnectionTable& table, ConnectionMetrics& metrics,
                                 LoopProbe& probe)
    : options_(options),
      table_(table),
      metrics_(metrics),
      probe_(probe),
      hung_up_(metrics.closed("closed")),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wakeup_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeup_.get(), &event);
  thread_ = std::thread([this] { Run(); });
}

ConnectionWatch::~ConnectionWatch() {
  Stop();
}

void ConnectionWatch::Stop() {
  if (!thread_.joinable()) return;
  stop_ = true;
  eventfd_write(wakeup_.get(), 1);
  thread_.join();
}

bool ConnectionWatch::Add(std::shared_ptr<PeerConnection> connection, FileDescriptor socket) {
  const int fd = socket.get();
  auto watched = std::make_unique<WatchedConnection>(std::move(connection), std::move(socket), options_.policy,
                                                     steady_clock::now());
  // No readiness is asked for: errors and hang-ups are always reported, and gRPC shuts a socket down before it closes
  // it.
  epoll_event event{.events = EPOLLET, .data = {.ptr = watched.get()}};
  MutexLock lock(mutex_);
  // Everything that can fail for want of memory comes first.
  if (incoming_.size() == incoming_.capacity()) incoming_.reserve(2 * incoming_.size() + 1);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return false;
  incoming_.push_back(std::move(watched));
  metrics_.accepted().Increment();
  metrics_.open().Increment();
  eventfd_write(wakeup_.get(), 1);
  return true;
}

void ConnectionWatch::Run() {
  TimePoint next_tick = steady_clock::now();
  while (!stop_) {
    HandleEvents(next_tick);
    const TimePoint now = steady_clock::now();
    if (now < next_tick) continue;
    try {
      Tick(now);
    } catch (const std::exception& failure) {
      LogFailure(failure);
    }
    next_tick = now + (busy_ || probing_ ? kBusyPace : kCalmPace);
  }
  LetGo(TimePoint::max());
  while (probing_ && !probe_.back()) std::this_thread::sleep_for(milliseconds(1));
}

void ConnectionWatch::HandleEvents(TimePoint next_tick) {
  std::array<epoll_event, 256> events;
  const Duration left = next_tick - steady_clock::now();
  const int timeout =
      watched_.empty() ? -1 : static_cast<int>(std::max<int64_t>(0, std::chrono::ceil<milliseconds>(left).count()));
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout);
  // New connections are taken before the events, which may be those of a new connection and come only once.
  for (bool taken = false; !taken && !stop_;) {
    try {
      TakeIncoming();
      taken = true;
    } catch (const std::exception& failure) {
      LogFailure(failure);
      std::this_thread::sleep_for(kBusyPace);
    }
  }
  for (int i = 0; i < count && !stop_; ++i) {
    if (auto* watched = static_cast<WatchedConnection*>(events[i].data.ptr)) {
      if (!watched->over()) hung_up_.Increment();
      Forget(*watched);
    } else {
      eventfd_t unused = 0;
      eventfd_read(wakeup_.get(), &unused);
    }
  }
}

void ConnectionWatch::TakeIncoming() {
  MutexLock lock(mutex_);
  const size_t size = watched_.size() + incoming_.size();
  if (size > watched_.capacity()) watched_.reserve(std::max(size, 2 * watched_.capacity()));
  for (auto& watched : incoming_) {
    watched->index = watched_.size();
    watched_.push_back(std::move(watched));
  }
  incoming_.clear();
}

void ConnectionWatch::Tick(TimePoint now) {
  if (draining_.exchange(false)) {
    for (auto& watched : watched_) watched->Owe(options_.half_sent_limit, now);
  }
  // A probe does not show calls that wait to be accepted: they wait inside gRPC, and the probe overtakes them.
  if (now - usage_at_ >= kUsagePeriod) {
    usage_at_ = now;
    saturated_ = probe_.Saturated(now) ? saturated_ + 1 : 0;
    if (saturated_ >= kSaturatedPeriods) {
      CloseResetters(now, options_.policy.resets);
    } else if (++periods_ % kCalmPeriods == 0) {
      CloseResetters(now, options_.policy.most_resets);
    }
  }
  if (probing_ && probe_.back()) {
    probing_ = false;
    // It comes first, because judging may fail for want of memory.
    LetGo(now);
    if (probe_counts_) {
      JudgeAll(now);
      ShedLargest(now);
    }
  }
  if (probing_) {
    if (probe_.held_up() >= kHeldUp) HoldBackGreedy(now);
    return;
  }
  LookAtSome(now);
  if (!busy_) return;
  probing_ = true;
  probed_at_ = now;
  probe_counts_ = probe_.Send();
}

// Looks at the connections that were busy, and at the next part of the circle.
void ConnectionWatch::LookAtSome(TimePoint now) {
  busy_ = false;
  const size_t some = std::min(watched_.size(), std::max(kFewest, watched_.size() / kRounds));
  const size_t begin = next_ < watched_.size() ? next_ : 0;
  for (size_t i = 0; i < watched_.size(); ++i) {
    WatchedConnection& watched = *watched_[(begin + i) % watched_.size()];
    if (i >= some && !watched.busy() && !watched.held_back()) continue;
    if (watched.HasTooManyCalls(options_.policy)) Close(watched, "streams");
    if (watched.Look(now)) busy_ = true;
  }
  next_ = begin + some;
}

// By now the loops have handled all calls that had begun when the connections were looked at.
void ConnectionWatch::JudgeAll(TimePoint now) {
  for (auto& watched : watched_) {
    const std::optional<Verdict> verdict = watched->Judge();
    if (!verdict.has_value()) continue;
    if (*verdict == Verdict::kKeep) {
      watched->Trust();
    } else if (watched->doubted_at() == TimePoint()) {
      Doubt(*watched, *verdict, now);
    } else if (now - watched->doubted_at() >= kDoubt) {
      Confirm(*watched, *verdict);
    }
  }
}

// gRPC may have read a request that it has not yet shown to a loop, because the thread that parses it gets no
// processor. So nothing more is read until a second look.
void ConnectionWatch::Doubt(WatchedConnection& watched, Verdict verdict, TimePoint now) {
  watched.set_doubted_at(now);
  if (!watched.held_back() && !watched.HoldBack(now)) Confirm(watched, verdict);
}

// A request may be larger than the limit by mistake, so its caller gets a status.
void ConnectionWatch::Confirm(WatchedConnection& watched, Verdict verdict) {
  if (verdict == Verdict::kNoise) return Close(watched, Reason(verdict));
  options_.end_requests(watched.shared_connection(), StopReason::kTooLarge);
  watched.Trust();
}

void ConnectionWatch::ShedLargest(TimePoint now) {
  // A connection whose calls have just been ended no longer counts.
  const auto size = [now](const auto& watched) {
    return now - watched->shed_at() < kShedTime ? 0 : watched->half_sent_bytes();
  };
  int64_t total = 0;
  for (const auto& watched : watched_) total += size(watched);
  while (total > options_.half_sent_limit) {
    const auto largest = std::max_element(watched_.begin(), watched_.end(),
                                          [&](const auto& a, const auto& b) { return size(a) < size(b); });
    total -= size(*largest);
    if (now - (*largest)->shed_at() < kShedAgain) {
      Close(**largest, "half_sent_in_all");
    } else {
      (*largest)->set_shed_at(now);
      options_.end_requests((*largest)->shared_connection(), StopReason::kNoRoom);
    }
  }
}

void ConnectionWatch::CloseResetters(TimePoint now, double limit) {
  std::vector<double> resets;
  for (auto& watched : watched_) resets.push_back(watched->Resets(now));
  const double most = resets.empty() ? 0 : *std::max_element(resets.begin(), resets.end());
  // Closing them one after the other would take as many times as long.
  const double least = std::max(limit, most / 2);
  for (size_t i = 0; i < resets.size(); ++i) {
    if (resets[i] >= least) Close(*watched_[i], "resets");
  }
}

void ConnectionWatch::HoldBackGreedy(TimePoint now) {
  const int64_t least = probe_.held_up() < kHeldUpLong ? kGreedyBytes : kGreedyBytesLong;
  int64_t most = 0;
  std::vector<std::pair<WatchedConnection*, int64_t>> greedy;
  for (auto& watched : watched_) {
    if (watched->HasTooManyCalls(options_.policy)) Close(*watched, "streams");
    if (watched->looked_at() < probed_at_) {
      // What the connection has done since that look says nothing about this moment.
      watched->Look(now);
      continue;
    }
    const int64_t read = watched->ReadSinceLook();
    if (read >= least && !watched->held_back()) greedy.emplace_back(watched.get(), read);
    most = std::max(most, read);
  }
  for (auto& [watched, read] : greedy) {
    // A loop that gets on with the connection's calls is not held up by it, but has much to do.
    if (watched->MovedSinceLook() || read < most / 4) continue;
    if (watched->strikes() >= kStrikes || !watched->HoldBack(now)) {
      Close(*watched, "held_up_others");
    } else {
      watched->AddStrike();
      metrics_.held_back().Increment();
    }
  }
}

void ConnectionWatch::LetGo(TimePoint now) {
  for (auto& watched : watched_) {
    const Duration pause = watched->doubted_at() != TimePoint() ? kLongPause : kPause;
    if (watched->held_back() && now - watched->held_back_at() >= pause) watched->LetGo();
  }
}

void ConnectionWatch::Close(WatchedConnection& watched, std::string_view reason) {
  static LogLimiter limiter(10, std::chrono::minutes(1));
  // This comes first, because the rest may fail for want of memory. The hang-up is reported once gRPC has closed its
  // side, too.
  watched.ShutDown();
  metrics_.closed(reason).Increment();
  if (const std::optional<uint64_t> held_back = limiter.Admit(steady_clock::now())) {
    const CallCounts calls = watched.connection().counts();
    Log(LogLevel::kWarning, "a connection was cut off",
        {{"reason", reason},
         {"peer", watched.connection().peer()},
         {"read_bytes", watched.read_bytes()},
         {"calls", calls.begun},
         {"cancelled", calls.cancelled},
         {"held_back", *held_back}});
  }
}

void ConnectionWatch::Forget(WatchedConnection& watched) {
  // gRPC may still have the socket open, and our registration would stay with it.
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched.socket(), nullptr);
  table_.Remove(watched.connection());
  metrics_.open().Decrement();
  const size_t index = watched.index;
  std::swap(watched_[index], watched_.back());
  watched_[index]->index = index;
  watched_.pop_back();
}

}  // namespace predictd
