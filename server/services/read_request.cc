#include "server/services/read_request.h"

#include <inference/grpc_service.pb.h>
#include <predictd/v1/prediction_service.pb.h>

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

// Waits until it is the request's turn to be decoded on a worker.
Task<absl::Status> GoToWorker(ServedRequest& served) {
  const std::shared_ptr<StepQueue> queue = served.environment().decoding;
  const TimePoint place = WaitingPlace(served.deadline(), kDefaultPriority, steady_clock::now());
  StepQueue::Entry entry = queue->Enter(place, served.stop());
  switch (co_await entry) {
    case StepQueue::Outcome::kTurn:
      break;
    case StepQueue::Outcome::kFull:
      co_return WithRetryAfter(absl::ResourceExhaustedError("too many large requests wait to be decoded"),
                               absl::Seconds(1));
    case StepQueue::Outcome::kStopped:
      co_return StopStatus(served.stop().reason(), "the queue");
  }
  co_return absl::OkStatus();
}

// What of each kind of request is prepared for parsing.
PredictCall KindOf(const v1::PredictRequest& /*message*/) {
  return PredictCall::kPredict;
}
PredictCall KindOf(const v1::PredictStreamRequest& /*message*/) {
  return PredictCall::kPredictStream;
}
PredictCall KindOf(const inference::ModelInferRequest& /*message*/) {
  return PredictCall::kModelInfer;
}
void Prepare(const RequestScan& scan, v1::PredictRequest& message) {
  ReserveElements(scan, message);
}
void Prepare(const RequestScan& scan, v1::PredictStreamRequest& message) {
  ReserveElements(scan, *message.mutable_predict());
}
void Prepare(const RequestScan& /*scan*/, inference::ModelInferRequest& /*message*/) {}

}  // namespace

template <class Message>
Task<absl::StatusOr<std::shared_ptr<const Message>>> ReadRequest(ServedRequest& served, grpc::ByteBuffer& bytes,
                                                                 const CatalogSnapshot& models, TimePoint& started) {
  const PredictCall kind = KindOf(Message::default_instance());
  absl::StatusOr<RequestScan> scan = ScanRequest(bytes, kind, models, kMaxOnLoop);
  if (!scan.ok()) co_return scan.status();
  if (scan->time > kMaxOnLoop) {
    Task<absl::Status> go = GoToWorker(served);
    if (absl::Status status = co_await go; !status.ok()) co_return status;
    started = steady_clock::now();
    scan = ScanRequest(bytes, kind, models, Duration::max());
    if (!scan.ok()) co_return scan.status();
  }
  // The request already holds memory for the bytes, which are freed once the message has been parsed.
  const int64_t more = scan->memory - static_cast<int64_t>(bytes.Length());
  if (absl::Status status = served.Hold(std::max<int64_t>(0, more)); !status.ok()) co_return status;
  const auto prepare = [&scan](Message& message) { Prepare(*scan, message); };
  co_return ParseMessage<Message>(bytes, std::numeric_limits<size_t>::max(), prepare);
}

Task<absl::Status> PrepareToCopy(ServedRequest& served, int64_t bytes, TimePoint& started) {
  // To copy that much into memory that is new to the process takes nearly kMaxOnLoop (measured, on a busy machine).
  constexpr int64_t kMostOnLoop = int64_t{1} << 20;
  if (absl::Status status = served.Hold(bytes); !status.ok()) co_return status;
  if (bytes <= kMostOnLoop) co_return absl::OkStatus();
  Task<absl::Status> go = GoToWorker(served);
  if (absl::Status status = co_await go; !status.ok()) co_return status;
  started = steady_clock::now();
  co_return absl::OkStatus();
}

template Task<absl::StatusOr<std::shared_ptr<const v1::PredictRequest>>> ReadRequest(ServedRequest& served,
                                                                                     grpc::ByteBuffer& bytes,
                                                                                     const CatalogSnapshot& models,
                                                                                     TimePoint& started);
template Task<absl::StatusOr<std::shared_ptr<const v1::PredictStreamRequest>>> ReadRequest(
    ServedRequest& served, grpc::ByteBuffer& bytes, const CatalogSnapshot& models, TimePoint& started);
template Task<absl::StatusOr<std::shared_ptr<const inference::ModelInferRequest>>> ReadRequest(
    ServedRequest& served, grpc::ByteBuffer& bytes, const CatalogSnapshot& models, TimePoint& started);

}  // namespace predictd
