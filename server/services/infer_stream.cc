#include "server/services/infer_stream.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/async/work_status.h"
#include "server/rpc/status.h"
#include "server/services/infer_handler.h"
#include "server/services/infer_stream_codec.h"

namespace predictd {
namespace {

// Puts an answer into the stream's window. An error says why that cannot be.
Task<absl::Status> Send(StreamedRequest& request, SharedStreamWriter& writer, grpc::ByteBuffer answer, bool last) {
  absl::StatusOr<grpc::ByteBuffer> message = WrapInferAnswer(answer, last);
  if (!message.ok()) co_return message.status();
  absl::StatusOr<OutgoingMessage> held = writer.Hold(*message);
  if (!held.ok()) co_return held.status();
  SharedStreamWriter::Writing writing = writer.Write(*std::move(held));
  if (co_await writing) co_return absl::OkStatus();
  const StopReason reason = request.stop().reason();
  co_return StopStatus(reason == StopReason::kNone ? StopReason::kCancelled : reason, "the stream");
}

Task<absl::Status> Answer(StreamedRequest& request, SharedStreamWriter& writer, const Catalog& catalog,
                          const SharedMemoryRegions* regions) {
  if (!request.admitted().ok()) co_return request.admitted();
  const SendInferAnswer send = [&](const grpc::ByteBuffer& piece) {
    return Send(request, writer, piece, /*last=*/false);
  };
  absl::StatusOr<grpc::ByteBuffer> answer;
  {
    // What the request has and the model returned is freed before the answer waits for its reader.
    Task<absl::StatusOr<grpc::ByteBuffer>> answering = AnswerInfer(request, request.message(), catalog, regions, &send);
    answer = co_await answering;
  }
  request.LetGo();
  if (!answer.ok()) co_return answer.status();
  Task<absl::Status> sending = Send(request, writer, *answer, /*last=*/true);
  co_return co_await sending;
}

Task<absl::Status> Serve(StreamedRequest& request, SharedStreamWriter& writer, const Catalog& catalog,
                         const SharedMemoryRegions* regions) {
  const InferLabels labels = ReadInferLabels(request.message());
  absl::Status status;
  try {
    Task<absl::Status> answering = Answer(request, writer, catalog, regions);
    status = co_await answering;
  } catch (...) {
    status = StatusOfException();
  }
  if (status.ok()) co_return status;
  // It is no longer needed, and this may wait.
  request.LetGo();
  const std::string_view model = request.report().model();
  const google::rpc::Status error = ToRpcStatus(status, {model.data(), model.size()});
  request.set_outcome(grpc::Status(static_cast<grpc::StatusCode>(error.code()), error.message()));
  absl::StatusOr<grpc::ByteBuffer> message = EncodeInferError(error, labels);
  if (!message.ok()) co_return message.status();
  SharedStreamWriter::Writing writing = writer.Write(writer.Unheld(*message));
  co_await writing;
  co_return absl::OkStatus();
}

}  // namespace

std::shared_ptr<const RequestHandler> MakeStreamInferHandler(const Catalog& catalog,
                                                             const SharedMemoryRegions* regions) {
  return std::make_shared<const RequestHandler>(
      [&catalog, regions](StreamedRequest& request, SharedStreamWriter& writer) {
        return Serve(request, writer, catalog, regions);
      });
}

}  // namespace predictd
