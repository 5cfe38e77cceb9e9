#include "server/services/predict_handler.h"

#include <exception>
#include <optional>
#include <string_view>
#include <utility>

#include "server/async/work_status.h"
#include "server/engine/row_stream.h"
#include "server/rpc/message_bytes.h"
#include "server/services/generation_handler.h"
#include "server/services/predict_codec.h"
#include "server/services/read_request.h"
#include "server/services/work_report.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

// Finds the version that runs the request, and records it in the call's report. If there is none, decoding ends here.
absl::StatusOr<std::shared_ptr<const ServedVersion>> ChooseTarget(Call& call, TimePoint started,
                                                                  const v1::PredictRequest& request,
                                                                  absl::string_view prefix,
                                                                  const CatalogSnapshot& models) {
  RequestSubject subject;
  absl::StatusOr<std::shared_ptr<const ServedVersion>> target = FindTarget(request, prefix, models, subject);
  if (subject.model != nullptr) call.report().SetModel(subject.model->subject(), subject.version);
  call.report().SetRequestId(std::move(subject.request_id));
  if (!target.ok()) ReportDecoding(call.report(), started, steady_clock::now());
  return target;
}

// The answer from the response cache, if it is there. Sets `key` to the key under which the answer belongs there,
// unless the inputs are too large for the cache.
std::optional<CachedResponse> FindCached(Call& call, const DecodedPredict& request, std::optional<RequestKey>& key) {
  const TimePoint started = steady_clock::now();
  key = MakeRequestKey(request.version->number(), request.inference.inputs);
  std::optional<CachedResponse> found;
  if (key.has_value()) found = request.cache->Lookup(*key);
  if (found.has_value()) {
    call.context().AddTrailingMetadata("age",
                                       absl::StrCat(std::chrono::floor<std::chrono::seconds>(found->age).count()));
  }
  const std::string_view outcome = found.has_value() ? "hit" : key.has_value() ? "miss" : "bypass";
  ReportCacheLookup(call.report(), outcome, started, steady_clock::now());
  return found;
}

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
  TimePoint started = steady_clock::now();
  // Let go once the version is found, so that no call keeps others alive.
  std::shared_ptr<const CatalogSnapshot> models = catalog.snapshot();
  absl::StatusOr<std::shared_ptr<const v1::PredictRequest>> message;
  if (request.Length() <= kSmallMessageBytes) {
    message = ParseMessage<v1::PredictRequest>(request);
  } else {
    Task<absl::StatusOr<std::shared_ptr<const v1::PredictRequest>>> read = ReadPredict(call, request, *models, started);
    message = co_await read;
  }
  if (!message.ok()) co_return message.status();
  absl::StatusOr<std::shared_ptr<const ServedVersion>> target = ChooseTarget(call, started, **message, "", *models);
  models.reset();
  if (!target.ok()) co_return target.status();
  if ((*target)->config().generator.has_value()) {
    Task<absl::StatusOr<grpc::ByteBuffer>> generation = HandleGeneration(call, *std::move(message), *std::move(target));
    co_return co_await generation;
  }
  absl::StatusOr<DecodedPredict> decoded = DecodePredict(*message, *std::move(target));
  ReportDecoding(call.report(), started, steady_clock::now());
  if (!decoded.ok()) co_return decoded.status();

  std::optional<RequestKey> key;
  if (decoded->cache != nullptr) {
    std::optional<CachedResponse> cached = FindCached(call, *decoded, key);
    if (cached.has_value()) co_return EncodePredict(*decoded, cached->outputs);
  }

  decoded->inference.deadline = call.deadline();
  ModelRunner::Inference inference = decoded->version->runner()->Infer(std::move(decoded->inference), call.stop());
  absl::StatusOr<InferenceResult> result = co_await inference;
  if (!result.ok()) co_return result.status();

  ReportInference(call.report(), result->timings);
  if (key.has_value()) decoded->cache->Store(*key, result->outputs);
  co_return EncodePredict(*decoded, result->outputs);
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
        ReadPredictStream(call, request, *models, started);
    message = co_await read;
  }
  if (!message.ok()) co_return message.status();
  absl::StatusOr<std::shared_ptr<const ServedVersion>> target =
      ChooseTarget(call, started, (*message)->predict(), "predict.", *models);
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
