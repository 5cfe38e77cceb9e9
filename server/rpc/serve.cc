#include "server/rpc/serve.h"

#include <new>
#include <optional>
#include <utility>
#include <variant>

#include "server/async/work_status.h"
#include "server/rpc/call.h"
#include "server/rpc/stream_writer.h"

namespace predictd {
namespace {

// As many calls of one burst find a coroutine that waits for them, without another turn through gRPC.
constexpr int kWaiting = 8;

// Called when the request has arrived, or will not arrive any more. Returns whether the call takes it; if so, the call
// holds the request's bytes.
absl::Status TakeRequest(Call& call, bool arrived) {
  if (!arrived && call.stop().stopped()) return StopStatus(call.stop().reason(), "the request's arrival");
  if (!arrived) return absl::InvalidArgumentError("the call has no request");
  if (absl::Status status = call.CheckMessageSize(); !status.ok()) return status;
  return call.Hold(static_cast<int64_t>(call.message().Length()));
}

// The answer of the method's handler: the last message, if there is one, or the status to end with.
using Answer = absl::StatusOr<std::optional<grpc::ByteBuffer>>;
Task<Answer> Handle(Call& call) {
  StreamWriter writer(call);
  if (const auto* bidi = std::get_if<BidiHandler>(&call.method().handler())) {
    Task<absl::Status> handling = (*bidi)(call, writer);
    absl::Status status = co_await handling;
    co_return status.ok() ? Answer(std::nullopt) : Answer(std::move(status));
  }
  Call::Reading reading = call.Read();
  const bool arrived = co_await reading;
  absl::Status status = TakeRequest(call, arrived);
  if (!status.ok()) co_return status;
  if (const auto* stream = std::get_if<StreamHandler>(&call.method().handler())) {
    Task<absl::Status> handling = (*stream)(call, call.message(), writer);
    status = co_await handling;
    co_return status.ok() ? Answer(std::nullopt) : Answer(std::move(status));
  }
  const auto& unary = std::get<UnaryHandler>(call.method().handler());
  Task<absl::StatusOr<grpc::ByteBuffer>> handling = unary(call, call.message());
  absl::StatusOr<grpc::ByteBuffer> answer = co_await handling;
  status = answer.ok() ? call.Hold(static_cast<int64_t>(answer->Length())) : answer.status();
  if (!status.ok()) co_return status;
  co_return *std::move(answer);
}

}  // namespace

void Acceptor::Refill() noexcept {
  while (!shut_down_ && waiting_ < kWaiting) {
    ++waiting_;
    try {
      Detach(Serve());
    } catch (const std::bad_alloc&) {
      --waiting_;
      return;
    }
    if (failed_) break;
  }
  failed_ = false;
}

Task<> Acceptor::Serve() {
  std::optional<Call> made;
  bool accepted = false;
  try {
    Call& waiting = made.emplace(loop_, environment_);
    Operation accept([&](void* tag) {
      service_.RequestCall(&waiting.context(), &waiting.transport(), loop_.queue(), loop_.queue(), tag);
    });
    accepted = co_await accept;
    shut_down_ = !accepted;
  } catch (const std::bad_alloc&) {
    failed_ = true;
  }
  --waiting_;
  if (!accepted) co_return;
  Refill();

  Call& call = *made;
  Answer answer = std::nullopt;
  try {
    absl::Status status = call.Begin(methods_.Find(call.context().method()));
    if (status.ok()) {
      Task<Answer> handling = Handle(call);
      answer = co_await handling;
    } else {
      answer = std::move(status);
    }
  } catch (...) {
    answer = StatusOfException();
  }

  bool sent = false;
  try {
    if (call.abandoned()) {
      // Nobody would learn of a status.
    } else if (const grpc::Status& status = call.CloseWith(answer.status()); status.ok() && answer->has_value()) {
      const grpc::ByteBuffer& message = **answer;
      auto finish = call.Send(static_cast<int64_t>(message.Length()), [&](void* tag) {
        call.transport().WriteAndFinish(message, grpc::WriteOptions(), status, tag);
      });
      sent = co_await finish;
    } else {
      auto finish = call.Send(0, [&](void* tag) { call.transport().Finish(status, tag); });
      sent = co_await finish;
    }
  } catch (const std::bad_alloc&) {
    // There is no memory to say anything, so the caller only learns that the call is over.
    call.context().TryCancel();
  }
  Call::Ending over = call.Over();
  co_await over;
  call.End(sent);
}

}  // namespace predictd
