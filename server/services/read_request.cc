#include "server/services/read_request.h"

#include <algorithm>
#include <limits>

#include "absl/time/time.h"
#include "server/async/retry_advice.h"
#include "server/async/step_queue.h"
#include "server/async/work_status.h"
#include "server/model/waiting_order.h"
#include "server/rpc/message_bytes.h"
#include "server/services/request_scan.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

// The most time that one request may take on an event loop.
constexpr Duration kMaxOnLoop = std::chrono::milliseconds(1);

// Waits until it is the call's turn to be decoded on a worker.
Task<absl::Status> GoToWorker(Call& call) {
  const std::shared_ptr<StepQueue> queue = call.environment().decoding;
  const TimePoint place = WaitingPlace(call.deadline(), kDefaultPriority, steady_clock::now());
  StepQueue::Entry entry = queue->Enter(place, call.stop());
  switch (co_await entry) {
    case StepQueue::Outcome::kTurn:
      break;
    case StepQueue::Outcome::kFull:
      co_return WithRetryAfter(absl::ResourceExhaustedError("too many large requests wait to be decoded"),
                               absl::Seconds(1));
    case StepQueue::Outcome::kStopped:
      co_return StopStatus(call.stop().reason(), "the queue");
  }
  co_return absl::OkStatus();
}

v1::PredictRequest& PredictOf(v1::PredictRequest& message) {
  return message;
}
v1::PredictRequest& PredictOf(v1::PredictStreamRequest& message) {
  return *message.mutable_predict();
}

template <class Message>
Task<absl::StatusOr<std::shared_ptr<const Message>>> Read(Call& call, grpc::ByteBuffer& bytes, PredictCall kind,
                                                          const CatalogSnapshot& models, TimePoint& started) {
  absl::StatusOr<RequestScan> scan = ScanRequest(bytes, kind, models, kMaxOnLoop);
  if (!scan.ok()) co_return scan.status();
  if (scan->time > kMaxOnLoop) {
    Task<absl::Status> go = GoToWorker(call);
    if (absl::Status status = co_await go; !status.ok()) co_return status;
    started = steady_clock::now();
    scan = ScanRequest(bytes, kind, models, Duration::max());
    if (!scan.ok()) co_return scan.status();
  }
  // The call already holds memory for the bytes, which are freed once the message has been parsed.
  const int64_t more = scan->memory - static_cast<int64_t>(bytes.Length());
  if (absl::Status status = call.Hold(std::max<int64_t>(0, more)); !status.ok()) co_return status;
  const auto prepare = [&scan](Message& message) { ReserveElements(*scan, PredictOf(message)); };
  co_return ParseMessage<Message>(bytes, std::numeric_limits<size_t>::max(), prepare);
}

}  // namespace

Task<absl::StatusOr<std::shared_ptr<const v1::PredictRequest>>> ReadPredict(Call& call, grpc::ByteBuffer& bytes,
                                                                            const CatalogSnapshot& models,
                                                                            TimePoint& started) {
  return Read<v1::PredictRequest>(call, bytes, PredictCall::kPredict, models, started);
}

Task<absl::StatusOr<std::shared_ptr<const v1::PredictStreamRequest>>> ReadPredictStream(Call& call,
                                                                                        grpc::ByteBuffer& bytes,
                                                                                        const CatalogSnapshot& models,
                                                                                        TimePoint& started) {
  return Read<v1::PredictStreamRequest>(call, bytes, PredictCall::kPredictStream, models, started);
}

}  // namespace predictd
