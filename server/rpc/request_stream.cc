#include "server/rpc/request_stream.h"

#include <chrono>
#include <new>
#include <utility>

#include "absl/time/time.h"
#include "server/async/mutex.h"
#include "server/async/task_group.h"
#include "server/async/work_status.h"

namespace predictd {
namespace {

// What the requests of a stream have in common. Its memory is taken at the start, so that the stream can always end.
class RequestStream {
 public:
  RequestStream(Call& call, StreamWriter& writer, const RequestStreamOptions& options, const RequestHandler& handler)
      : call_(call), max_running_(options.max_running), handler_(handler), writer_(call, writer, options.window) {}

  // Reads and starts requests as long as there are any. Returns the status that the stream ends with if all goes well.
  Task<absl::Status> Read();
  TaskGroup::Joining Join() { return requests_.Join(); }
  TaskGroup::Joining Close() { return writer_.Close(); }
  // The status of the request that has ended the stream; OK if none has.
  absl::Status failure();

 private:
  // Serves the message that the call has just read.
  static Task<> Serve(RequestStream& stream);
  // Returns whether this is the first failure.
  bool Fail(absl::Status status) noexcept;

  Call& call_;
  const int max_running_;
  const RequestHandler& handler_;
  LoopHop back_to_read_{call_.loop()};
  LoopHop back_to_fail_{call_.loop()};
  SharedStreamWriter writer_;
  TaskGroup requests_;

  Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

Task<absl::Status> RequestStream::Read() {
  while (true) {
    Call::Reading reading = call_.Read();
    if (!co_await reading) co_return call_.ReadingEnded();
    requests_.Start(Serve(*this));
    call_.PauseReading(true);
    TaskGroup::Wait fewer = requests_.FewerThan(max_running_);
    co_await fewer;
    // A request may have ended on a worker.
    co_await back_to_read_;
    call_.PauseReading(false);
  }
}

Task<> RequestStream::Serve(RequestStream& stream) {
  std::optional<StreamedRequest> request;
  absl::Status status;
  try {
    request.emplace(stream.call_);
    Task<absl::Status> serving = stream.handler_(*request, stream.writer_);
    status = co_await serving;
  } catch (...) {
    status = StatusOfException();
  }
  if (request.has_value()) request->End(status);
  if (!status.ok() && stream.Fail(std::move(status))) {
    co_await stream.back_to_fail_;
    stream.call_.EndReading();
  }
  if (!request.has_value()) co_return;
  StreamedRequest::Leaving leaving = request->Leave();
  co_await leaving;
}

bool RequestStream::Fail(absl::Status status) noexcept {
  {
    MutexLock lock(mutex_);
    if (!failure_.ok()) return false;
    failure_ = std::move(status);
  }
  call_.stop().RequestStop(StopReason::kFailed);
  return true;
}

absl::Status RequestStream::failure() {
  MutexLock lock(mutex_);
  return failure_;
}

}  // namespace

StreamedRequest::StreamedRequest(Call& call)
    : call_(call),
      memory_(call.MemoryForMessage()),
      report_(call.environment(), call.context()),
      deadline_(call.deadline()),
      stop_(call.stop()) {
  const TimePoint arrived = std::chrono::steady_clock::now();
  message_.Swap(&call.message());
  const auto bytes = static_cast<int64_t>(message_.Length());
  admitted_ = call.CheckMessageSize(bytes);
  if (admitted_.ok()) admitted_ = call.HoldMessage(bytes, memory_);
  report_.BeginMessage(call.report(), arrived);
  const absl::Duration most = call.environment().default_deadline;
  if (most > absl::ZeroDuration()) SetDeadline(arrived + absl::ToChronoNanoseconds(most));
  call_.method().message_metrics().in_flight().Increment();
}

StreamedRequest::~StreamedRequest() {
  call_.method().message_metrics().in_flight().Decrement();
}

void StreamedRequest::End(const absl::Status& status) noexcept {
  call_.OnMessageServed(/*given_up=*/stop_.reason() == StopReason::kCancelled);
  try {
    if (!status.ok()) {
      outcome_ = grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
    }
    report_.End(outcome_, stop_.reason(), std::chrono::steady_clock::now());
  } catch (const std::bad_alloc&) {
    // Then the log, the metrics or the span lack the request.
    return;
  }
}

void StreamedRequest::SetDeadline(TimePoint deadline) {
  if (deadline >= deadline_) return;
  if (!timer_.has_value()) {
    back_.emplace(call_.loop());
    timer_.emplace(call_.loop().timers(), [this] { stop_.RequestStop(StopReason::kDeadline); });
  }
  timer_->Arm(deadline);
  deadline_ = deadline;
}

Task<absl::Status> ServeRequests(Call& call, StreamWriter& writer, const RequestStreamOptions& options,
                                 const RequestHandler& handler) {
  RequestStream stream(call, writer, options, handler);
  absl::Status status;
  try {
    Task<absl::Status> reading = stream.Read();
    status = co_await reading;
  } catch (...) {
    status = StatusOfException();
  }
  try {
    TaskGroup::Joining joining = stream.Join();
    co_await joining;
  } catch (...) {
    status = StatusOfException();
  }
  try {
    TaskGroup::Joining closing = stream.Close();
    co_await closing;
  } catch (...) {
    status = StatusOfException();
  }
  // Requests that were stopped have failed, too, but that is not why the stream ends.
  const StopReason reason = call.stop().reason();
  if (reason != StopReason::kNone && reason != StopReason::kFailed) co_return StopStatus(reason, "the stream");
  absl::Status failure = stream.failure();
  co_return failure.ok() ? std::move(status) : std::move(failure);
}

}  // namespace predictd
