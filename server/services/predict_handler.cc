#include "server/services/predict_handler.h"

#include <exception>
#include <optional>
#include <utility>

#include "server/async/work_status.h"
#include "server/engine/row_stream.h"
#include "server/rpc/message_bytes.h"
#include "server/services/generation_handler.h"
#include "server/services/predict_codec.h"
#include "server/services/read_request.h"
#include "server/services/tensor_call.h"
#include "server/services/work_report.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

struct PredictProtocol {
  using Request = v1::PredictRequest;

  static TargetVersion FindTarget(const Request& request, const CatalogSnapshot& models, RequestSubject& subject) {
    return predictd::FindTarget(request, "", models, subject);
  }
  static Task<absl::StatusOr<grpc::ByteBuffer>> Generate(ServedRequest& served, std::shared_ptr<const Request> request,
                                                         std::shared_ptr<const ServedVersion> target) {
    return HandleGeneration(served, std::move(request), std::move(target));
  }
  static int64_t BytesToCopy(const Request& /*request*/) { return 0; }
  static absl::StatusOr<DecodedPredict> Decode(const std::shared_ptr<const Request>& request,
                                               std::shared_ptr<const ServedVersion> target) {
    return DecodePredict(request, std::move(target));
  }
  static absl::StatusOr<grpc::ByteBuffer> Encode(const DecodedPredict& request, absl::Span<const Tensor> outputs) {
    return EncodePredict(request, outputs);
  }
};

// Sends the chunks. Returns the status with which the stream ends.
Task<absl::Status> SendRows(Call& call, const DecodedPredictStream& request, RowStream& rows, StreamWriter& writer) {
  absl::StatusOr<grpc::ByteBuffer> start = EncodeStreamStart(request.predict, rows.total_chunks());
  if (!start.ok()) co_return start.status();
  bool reading = co_await writer.Write(*start);
  int64_t rows_ok = 0;
  int64_t rows_failed = 0;
  while (reading) {
    const std::optional<RowStream::Chunk> chunk = co_await rows.Next();
    if (call.stop().stopped()) co_return StopStatus(call.stop().reason(), "the stream");
    if (!chunk.has_value()) break;
    if (!chunk->result.ok() && request.fail_fast) co_return chunk->result.status();
    (chunk->result.ok() ? rows_ok : rows_failed) += chunk->rows;
    if (chunk->result.ok()) ReportInference(call.report(), chunk->result->timings);
    absl::StatusOr<grpc::ByteBuffer> message = EncodeRows(request.predict, *chunk);
    if (!message.ok()) co_return message.status();
    reading = co_await writer.Write(*message, rows.ready());
  }
  if (reading) {
    absl::StatusOr<grpc::ByteBuffer> summary = EncodeStreamSummary(rows_ok, rows_failed);
    if (!summary.ok()) co_return summary.status();
    reading = co_await writer.Write(*summary, /*more_follows=*/true);
  }
  if (call.stop().stopped()) co_return StopStatus(call.stop().reason(), "the stream");
  co_return reading ? absl::OkStatus() : StopStatus(StopReason::kCancelled, "the stream");
}

}  // namespace

Task<absl::StatusOr<grpc::ByteBuffer>> HandlePredict(Call& call, grpc::ByteBuffer& request, const Catalog& catalog) {
  return AnswerRequest(call, request, catalog, PredictProtocol());
}

Task<absl::Status> HandlePredictStream(Call& call, grpc::ByteBuffer& request, StreamWriter& writer,
                                       const Catalog& catalog, int window) {
  TimePoint started = steady_clock::now();
  // Let go once the version is found, so that no call keeps others alive.
  std::shared_ptr<const CatalogSnapshot> models = catalog.snapshot();
  absl::StatusOr<std::shared_ptr<const v1::PredictStreamRequest>> message;
  if (request.Length() <= kSmallMessageBytes) {
    message = ParseMessage<v1::PredictStreamRequest>(request);
  } else {
    Task<absl::StatusOr<std::shared_ptr<const v1::PredictStreamRequest>>> read =
        ReadRequest<v1::PredictStreamRequest>(call, request, *models, started);
    message = co_await read;
  }
  if (!message.ok()) co_return message.status();
  RequestSubject subject = {.request = &call};
  TargetVersion target = FindTarget((*message)->predict(), "predict.", *models, subject);
  if (IsAsleep(subject, target)) {
    models.reset();
    Task<TargetVersion> wake = FindAwake(call, catalog, subject.model->name(), [&](const CatalogSnapshot& awake) {
      return FindTarget((*message)->predict(), "predict.", awake, subject);
    });
    target = co_await wake;
  }
  ReportTarget(call, started, std::move(subject), target);
  models.reset();
  if (!target.ok()) co_return target.status();
  if ((*target)->config().generator.has_value()) {
    Task<absl::Status> generation = HandleGenerationStream(call, *std::move(message), *std::move(target), writer);
    co_return co_await generation;
  }
  absl::StatusOr<DecodedPredictStream> decoded = DecodePredictStream(*message, *std::move(target), window);
  ReportDecoding(call.report(), started, steady_clock::now());
  if (!decoded.ok()) co_return decoded.status();

  decoded->predict.inference.deadline = call.deadline();
  RowStream rows(decoded->predict.version->runner()->shared_from_this(), std::move(decoded->predict.inference),
                 decoded->options, call.stop());
  absl::Status status;
  try {
    status = co_await SendRows(call, *decoded, rows, writer);
  } catch (const std::exception&) {
    // The chunks must end before the stream does.
    status = StatusOfException();
  }
  // Nobody waits for chunks that are still queued or running.
  call.stop().RequestStop(StopReason::kFailed);
  co_await rows.Drain();
  co_return status;
}

}  // namespace predictd
