#include "server/rpc/predict_handler.h"

#include <exception>
#include <optional>
#include <string_view>
#include <utility>

#include "server/engine/row_stream.h"
#include "server/rpc/generation_handler.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/predict_codec.h"
#include "server/rpc/read_request.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

// What runs the request, of which the call is told. If that is nothing, decoding ends here.
absl::StatusOr<RequestTarget> Aim(Call& call, TimePoint started, const v1::PredictRequest& request,
                                  absl::string_view prefix, const Catalog& catalog) {
  RequestSubject subject;
  absl::StatusOr<RequestTarget> target = FindTarget(request, prefix, catalog, subject);
  call.report().SetModel(subject.model, subject.version);
  call.report().SetRequestId(std::move(subject.request_id));
  if (!target.ok()) call.report().AddDecode(started, steady_clock::now());
  return target;
}

// The answer in the response cache, if there is one. Sets `key` to that under which the answer belongs there: not if
// the inputs are too large for it.
std::optional<CachedResponse> FindCached(Call& call, const DecodedPredict& request, std::optional<RequestKey>& key) {
  const TimePoint started = steady_clock::now();
  key = MakeRequestKey(request.version, request.inference.inputs);
  std::optional<CachedResponse> found;
  if (key.has_value()) found = request.cache->Lookup(*key);
  if (found.has_value()) call.report().SetAge(found->age);
  const std::string_view outcome = found.has_value() ? "hit" : key.has_value() ? "miss" : "bypass";
  call.report().AddCacheLookup(outcome, started, steady_clock::now());
  return found;
}

// Sends the chunks; the status that the stream ends with.
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
    if (chunk->result.ok()) call.report().AddInference(chunk->result->timings);
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
  absl::StatusOr<std::shared_ptr<const v1::PredictRequest>> message;
  if (request.Length() <= kSmallMessageBytes) {
    message = ParseMessage<v1::PredictRequest>(request);
  } else {
    Task<absl::StatusOr<std::shared_ptr<const v1::PredictRequest>>> read = ReadPredict(call, request, catalog, started);
    message = co_await read;
  }
  if (!message.ok()) co_return message.status();
  const absl::StatusOr<RequestTarget> target = Aim(call, started, **message, "", catalog);
  if (!target.ok()) co_return target.status();
  if (target->version->generator() != nullptr) {
    Task<absl::StatusOr<grpc::ByteBuffer>> generation = HandleGeneration(call, *std::move(message), *target);
    co_return co_await generation;
  }
  absl::StatusOr<DecodedPredict> decoded = DecodePredict(*message, *target);
  call.report().AddDecode(started, steady_clock::now());
  if (!decoded.ok()) co_return decoded.status();

  std::optional<RequestKey> key;
  if (decoded->cache != nullptr) {
    std::optional<CachedResponse> cached = FindCached(call, *decoded, key);
    if (cached.has_value()) co_return EncodePredict(*decoded, cached->outputs);
  }

  decoded->inference.deadline = call.deadline();
  ModelRunner::Inference inference = decoded->runner->Infer(std::move(decoded->inference), call.stop());
  absl::StatusOr<InferenceResult> result = co_await inference;
  if (!result.ok()) co_return result.status();

  call.report().AddInference(result->timings);
  if (key.has_value()) decoded->cache->Store(*key, result->outputs);
  co_return EncodePredict(*decoded, result->outputs);
}

Task<absl::Status> HandlePredictStream(Call& call, grpc::ByteBuffer& request, StreamWriter& writer,
                                       const Catalog& catalog, int window) {
  TimePoint started = steady_clock::now();
  absl::StatusOr<std::shared_ptr<const v1::PredictStreamRequest>> message;
  if (request.Length() <= kSmallMessageBytes) {
    message = ParseMessage<v1::PredictStreamRequest>(request);
  } else {
    Task<absl::StatusOr<std::shared_ptr<const v1::PredictStreamRequest>>> read =
        ReadPredictStream(call, request, catalog, started);
    message = co_await read;
  }
  if (!message.ok()) co_return message.status();
  const absl::StatusOr<RequestTarget> target = Aim(call, started, (*message)->predict(), "predict.", catalog);
  if (!target.ok()) co_return target.status();
  if (target->version->generator() != nullptr) {
    Task<absl::Status> generation = HandleGenerationStream(call, *std::move(message), *target, writer);
    co_return co_await generation;
  }
  absl::StatusOr<DecodedPredictStream> decoded = DecodePredictStream(*message, *target, window);
  call.report().AddDecode(started, steady_clock::now());
  if (!decoded.ok()) co_return decoded.status();

  decoded->predict.inference.deadline = call.deadline();
  RowStream rows(decoded->predict.runner, std::move(decoded->predict.inference), decoded->options, call.stop());
  absl::Status status;
  try {
    status = co_await SendRows(call, *decoded, rows, writer);
  } catch (const std::exception&) {
    // The chunks must end before the stream does.
    status = StatusOfException();
  }
  // Whatever is still queued or running is for nobody.
  call.stop().RequestStop(StopReason::kFailed);
  co_await rows.Drain();
  co_return status;
}

}  // namespace predictd
