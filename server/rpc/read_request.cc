#include "server/rpc/read_request.h"

#include <limits>

#include "absl/time/time.h"
#include "server/async/step_queue.h"
#include "server/model/retry_advice.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/request_scan.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

// What one request may take of an event loop.
constexpr Duration kMaxOnLoop = std::chrono::milliseconds(1);

// Waits until it is the call's turn to decode on a worker.
Task<absl::Status> GoToWorker(Call& call) {
  const std::shared_ptr<StepQueue> queue = call.environment().decoding;
  StepQueue::Entry entry = queue->Enter(call.deadline(), call.stop());
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

template <class Message>
Task<absl::StatusOr<std::shared_ptr<const Message>>> Read(Call& call, grpc::ByteBuffer& bytes, PredictCall kind,
                                                          const Catalog& catalog, TimePoint& started) {
  const absl::StatusOr<Duration> time = ScanRequest(bytes, kind, catalog, kMaxOnLoop);
  if (!time.ok()) co_return time.status();
  if (*time > kMaxOnLoop) {
    Task<absl::Status> go = GoToWorker(call);
    if (absl::Status status = co_await go; !status.ok()) co_return status;
    started = steady_clock::now();
    if (const auto all = ScanRequest(bytes, kind, catalog, Duration::max()); !all.ok()) co_return all.status();
  }
  co_return ParseMessage<Message>(bytes, std::numeric_limits<size_t>::max());
}

}  // namespace

Task<absl::StatusOr<std::shared_ptr<const v1::PredictRequest>>> ReadPredict(Call& call, grpc::ByteBuffer& bytes,
                                                                            const Catalog& catalog,
                                                                            TimePoint& started) {
  return Read<v1::PredictRequest>(call, bytes, PredictCall::kPredict, catalog, started);
}

Task<absl::StatusOr<std::shared_ptr<const v1::PredictStreamRequest>>> ReadPredictStream(Call& call,
                                                                                        grpc::ByteBuffer& bytes,
                                                                                        const Catalog& catalog,
                                                                                        TimePoint& started) {
  return Read<v1::PredictStreamRequest>(call, bytes, PredictCall::kPredictStream, catalog, started);
}

}  // namespace predictd
