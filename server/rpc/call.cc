#include "server/rpc/call.h"

#include <algorithm>
#include <limits>
#include <new>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/async/retry_advice.h"
#include "server/async/work_status.h"
#include "server/rpc/head_start.h"
#include "server/rpc/status.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

// The seconds of gRPC's infinite future.
constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();
// A caller may ask for more time than nanoseconds can count (99999999H). A century stands for such a time.
constexpr int64_t kFarSeconds = int64_t{100} * 365 * 24 * 3600;

// About how many bytes gRPC and the coroutine's frame take for a call, with the headers that a caller may send.
constexpr int64_t kCallBytes = int64_t{16} << 10;

// After how long the memory that calls hold, or the places of endless calls, may be free again.
constexpr absl::Duration kBusyRetry = absl::Milliseconds(200);
constexpr absl::Duration kDrainRetry = absl::Seconds(1);

}  // namespace

Call::Call(EventLoop& loop, RpcEnvironment& environment)
    : loop_(loop),
      environment_(environment),
      report_(environment, context_),
      memory_(environment.memory),
      peer_(environment.peer_limits),
      timer_(loop.timers(), [this] { Look(); }) {
  context_.AsyncNotifyWhenDone(static_cast<CompletionTag*>(&done_tag_));
}

absl::Status Call::Begin(const Method& method) {
  const TimePoint arrived = steady_clock::now();
  method_ = &method;
  environment_.accepted.fetch_add(1, std::memory_order_relaxed);
  method.metrics().in_flight().Increment();
  if (method.endless()) environment_.endless_calls.fetch_add(1, std::memory_order_relaxed);
  if (method.may_idle()) environment_.request_streams.fetch_add(1, std::memory_order_relaxed);
  report_.Begin(method, arrived);
  LinkBehind(loop_.live_calls());
  connection_.Begin(environment_.connections->Find(context_.peer()));
  deadline_ = ChooseDeadline(arrived);
  absl::Status admitted;
  try {
    admitted = Admit();
  } catch (...) {
    admitted = StatusOfException();
  }
  refused_ = !admitted.ok();
  const Duration again = peer_.Look(TimePoint(), refused_).again;
  timer_.Arm(std::min(deadline_, arrived + again));
  return admitted;
}

absl::Status Call::Admit() {
  // gRPC's own limit only binds clients that acknowledge it.
  if (connection_.open() > environment_.max_concurrent_streams) {
    context_.TryCancel();
    return absl::ResourceExhaustedError("too many calls on one connection");
  }
  if (environment_.draining.load(std::memory_order_acquire) && !method_->while_draining()) {
    return WithRetryAfter(absl::UnavailableError("the server shuts down"), kDrainRetry);
  }
  if (method_->endless() &&
      environment_.endless_calls.load(std::memory_order_relaxed) > environment_.max_endless_calls) {
    return WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat("there are ", environment_.max_endless_calls,
                                                                    " watches and reflection streams already")),
                          kBusyRetry);
  }
  if (method_->may_idle() &&
      environment_.request_streams.load(std::memory_order_relaxed) > environment_.max_request_streams) {
    return WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat("there are ", environment_.max_request_streams,
                                                                    " streams of requests already")),
                          kBusyRetry);
  }
  if (environment_.admit != nullptr) {
    if (absl::Status status = environment_.admit(*method_, context_.client_metadata()); !status.ok()) return status;
  }
  return Hold(kCallBytes);
}

absl::Status Call::CheckMessageSize(int64_t bytes) const {
  const int64_t most = method_->max_request_bytes();
  if (bytes <= most) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the request has ", bytes, " bytes, and ", method_->name(), " takes at most ", most));
}

absl::Status Call::Hold(int64_t bytes) {
  return TakeMemory(bytes, memory_, connection_);
}

absl::Status Call::HoldMessage(int64_t bytes, MessageMemory& memory) const {
  return TakeMemory(bytes, memory.share(), memory);
}

template <class Connection>
absl::Status Call::TakeMemory(int64_t bytes, MemoryShare& share, Connection& connection) const {
  // Health checks must be answered above all when the server is full, and their requests and answers are a few bytes.
  if (method_->while_draining()) return absl::OkStatus();
  const int64_t limit = environment_.memory.limit();
  if (share.bytes() + bytes > limit) {
    return absl::ResourceExhaustedError(absl::StrCat("the call would hold ", share.bytes() + bytes,
                                                     " bytes, and --request-memory is ", limit, " for all calls"));
  }
  // No connection may get the whole budget, because the others would have nothing left.
  const int64_t most = limit - limit / 4;
  if (const int64_t held = connection.Hold(bytes); held > most) {
    connection.Hold(-bytes);
    return WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat("the calls of this connection hold ", held - bytes,
                                                                    " bytes, and ", most, " is the most for one")),
                          kBusyRetry);
  }
  if (share.Take(bytes)) return absl::OkStatus();
  connection.Hold(-bytes);
  return WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat("the calls that the server has hold ",
                                                                  environment_.memory.used(), " of ", limit, " bytes")),
                        kBusyRetry);
}

TimePoint Call::ChooseDeadline(TimePoint arrived) const {
  TimePoint deadline = kNever;
  const gpr_timespec left = gpr_convert_clock_type(context_.raw_deadline(), GPR_TIMESPAN);
  if (left.tv_sec != kNoDeadline) {
    const Duration given = std::chrono::seconds(std::clamp(left.tv_sec, -kFarSeconds, kFarSeconds)) +
                           std::chrono::nanoseconds(left.tv_nsec);
    deadline = arrived + given - HeadStart(given, connection_.way_back());
  }
  // A client may watch health for as long as it likes.
  if (method_->endless()) return deadline;
  // Of a stream, the default is for each message.
  if (deadline == kNever && !method_->may_idle() && environment_.default_deadline > absl::ZeroDuration()) {
    deadline = arrived + absl::ToChronoNanoseconds(environment_.default_deadline);
  }
  if (environment_.max_deadline > absl::ZeroDuration()) {
    deadline = std::min<TimePoint>(deadline, arrived + absl::ToChronoNanoseconds(environment_.max_deadline));
  }
  return deadline;
}

void Call::SetDeadline(TimePoint deadline) {
  if (deadline >= deadline_) return;
  deadline_ = deadline;
  Look();
}

void Call::Look() {
  const TimePoint now = steady_clock::now();
  // A stream ends its own work by a stop, and may still send its last message after that.
  const StopReason before = stop_.reason();
  const bool own_work = before == StopReason::kFailed;
  const PeerWatch::Verdict verdict =
      peer_.Look(loop_.OwnTime(), refused_ || (before != StopReason::kNone && !own_work));
  StopReason why = StopReason::kNone;
  if (now >= deadline_) {
    why = StopReason::kDeadline;
  } else if (verdict.late != PeerWatch::Late::kNo) {
    why = verdict.late == PeerWatch::Late::kMessage ? StopReason::kUnsent : StopReason::kStalled;
  }
  if (why != StopReason::kNone) {
    cut_ = why;
    stop_.RequestStop(why);
  }
  // An operation that waits for the peer now ends only when the peer does something, or the call is cancelled.
  if (verdict.cancel || (own_work && why != StopReason::kNone)) context_.TryCancel();
  const bool over = refused_ || why != StopReason::kNone || (stop_.stopped() && !own_work);
  timer_.Arm(over ? now + PeerWatch::kStoppedGrace : std::min(deadline_, now + verdict.again));
  if (over) StopReading();
}

StopReason Call::Ended() const {
  const StopReason reason = stop_.reason();
  return reason == StopReason::kFailed ? cut_ : reason;
}

void Call::Stop(StopReason reason) {
  if (stop_.RequestStop(reason)) timer_.Arm(steady_clock::now() + PeerWatch::kStoppedGrace);
  StopReading();
}

void Call::StopReadingFrom(const PeerConnection& connection, StopReason reason) {
  if (reader_ && connection_.IsOf(connection)) Stop(reason);
}

void Call::Reading::await_suspend(std::coroutine_handle<> waiter) {
  call_.reader_ = waiter;
  ++call_.tags_out_;
  // Silence between two requests is no fault. How much of a message may have arrived without the rest is limited in
  // bytes, by the watch over the connections: gRPC does not say which call they belong to.
  if (!call_.method_->may_idle()) call_.peer_.BeginReceiving(call_.loop_.OwnTime());
  call_.transport_.Read(&call_.message_, static_cast<CompletionTag*>(&call_.read_tag_));
}

// Callers do nothing after this, because the coroutine that reads goes on here.
void Call::StopReading() {
  if (!reader_) return;
  peer_.EndReceiving();
  std::exchange(reader_, nullptr).resume();
}

void Call::EndReading() {
  reading_over_ = true;
  StopReading();
}

void Call::Drain() {
  if (!method_->bidi()) return;
  draining_ = true;
  EndReading();
}

absl::Status Call::ReadingEnded() const {
  const StopReason reason = draining_ && !stop_.stopped() ? StopReason::kDraining : stop_.reason();
  return reason == StopReason::kNone ? absl::OkStatus() : StopStatus(reason, "the stream");
}

void Call::OnRead(bool ok) {
  // A reader that was stopped while it waited has gone on already, so this message is for nobody.
  read_ok_ = ok && reader_ != nullptr;
  if (ok) {
    received_ = true;
    connection_.OnMessage(static_cast<int64_t>(message_.Length()), /*more_may_follow=*/method_->bidi());
  } else if (!received_) {
    unsent_ = true;
  }
  if (reader_) {
    half_closed_ = !ok;
    peer_.EndReceiving();
    --tags_out_;
    std::exchange(reader_, nullptr).resume();
  } else {
    TagArrived();
  }
}

void Call::OnDone(bool /*ok*/) {
  gone_ = context_.IsCancelled();
  if (gone_) {
    // gRPC has a timer of its own for the caller's deadline, which may fire first.
    const bool late = steady_clock::now() + std::chrono::milliseconds(1) >= deadline_;
    stop_.RequestStop(late ? StopReason::kDeadline : StopReason::kCancelled);
  }
  TagArrived();
}

void Call::TagArrived() {
  if (--tags_out_ == 0 && ending_) ending_.resume();
}

const grpc::Status& Call::CloseWith(const absl::Status& status) noexcept {
  try {
    closed_ = steady_clock::now();
    report_.Close(closed_);
    status_ = ToGrpcStatus(status, context_, {report_.model().data(), report_.model().size()});
  } catch (const std::bad_alloc&) {
    // The message is short enough to need no memory.
    status_ = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "out of memory");
  }
  return status_;
}

void Call::End(bool sent) noexcept {
  const TimePoint ended = steady_clock::now();
  method_->metrics().in_flight().Decrement();
  if (method_->endless()) environment_.endless_calls.fetch_sub(1, std::memory_order_relaxed);
  if (method_->may_idle()) environment_.request_streams.fetch_sub(1, std::memory_order_relaxed);
  environment_.ended.fetch_add(1, std::memory_order_relaxed);
  if (sent) connection_.OnSent(ended - closed_);
  if (sent && half_closed_) connection_.OnLastMessage();
  // A client whose own deadline has passed cancels its call, too, and has every right to do so.
  connection_.End(/*cancelled=*/!sent && Ended() == StopReason::kCancelled);
  try {
    // If the peer did not take the answer, the call is no success; and if a request did not arrive, only now is it
    // known that the peer has gone.
    const bool lost = !sent && (status_.ok() || unsent_) && stop_.stopped();
    const absl::Status cause = StopStatus(Ended(), unsent_ ? "the request's arrival" : "the answer");
    report_.End(
        lost ? grpc::Status(static_cast<grpc::StatusCode>(cause.code()), std::string(cause.message())) : status_,
        Ended(), ended);
  } catch (const std::bad_alloc&) {
    // Then the log, the metrics or the span lack the call.
    return;
  }
}

}  // namespace predictd
