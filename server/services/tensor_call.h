#ifndef PREDICTD_SERVER_SERVICES_TENSOR_CALL_H_
#define PREDICTD_SERVER_SERVICES_TENSOR_CALL_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/engine/request_key.h"
#include "server/engine/response_cache.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/served_request.h"
#include "server/services/read_request.h"
#include "server/services/request_builder.h"
#include "server/services/request_target.h"
#include "server/services/shadow.h"
#include "server/services/wake.h"
#include "server/services/work_report.h"
#include "server/serving/catalog.h"

namespace predictd {

using TargetVersion = absl::StatusOr<std::shared_ptr<const ServedVersion>>;

// Records in the request's report what the request is about. If there is no version to run it, decoding, which began at
// `started`, ends here.
void ReportTarget(ServedRequest& served, TimePoint started, RequestSubject subject, const TargetVersion& target);

// The answer from the response cache, if it is there. Sets `key` to the key under which the answer belongs there,
// unless the inputs are too large for the cache.
std::optional<CachedResponse> FindCached(ServedRequest& served, const DecodedPredict& request,
                                         std::optional<RequestKey>& key);

// Wakes the model of a request, and returns what `find` then finds in the catalog.
template <class Find>
Task<TargetVersion> FindAwake(ServedRequest& served, const Catalog& catalog, std::string model, Find find) {
  Task<absl::Status> wake = WakeModel(served, catalog, std::move(model));
  if (absl::Status woken = co_await wake; !woken.ok()) co_return woken;
  co_return find(*catalog.snapshot());
}

// Answers one request of any protocol, be it a call or a message of a stream: decodes, looks into the response cache if
// the model has one, infers, encodes. `request` is its bytes. What a protocol has is
//   Request                                  the message
//   FindTarget(request, models, subject)     the version that is to run it, or why there is none
//   BytesToCopy(request)                     the elements that are not in the message, which Decode copies
//   Generate(served, request, target)        the answer of a generator, or the last one of several
//   Decode(request, target)                  a DecodedPredict
//   Encode(decoded, outputs)                 the answer's bytes
template <class Protocol>
Task<absl::StatusOr<grpc::ByteBuffer>> AnswerRequest(ServedRequest& served, grpc::ByteBuffer& request,
                                                     const Catalog& catalog, Protocol protocol) {
  using std::chrono::steady_clock;
  using Request = typename Protocol::Request;
  TimePoint started = steady_clock::now();
  const auto bytes = static_cast<int64_t>(request.Length());
  // Let go once the version is found, so that no call keeps others alive.
  std::shared_ptr<const CatalogSnapshot> models = catalog.snapshot();
  absl::StatusOr<std::shared_ptr<const Request>> message;
  if (request.Length() <= kSmallMessageBytes) {
    message = ParseMessage<Request>(request);
  } else {
    Task<absl::StatusOr<std::shared_ptr<const Request>>> read = ReadRequest<Request>(served, request, *models, started);
    message = co_await read;
  }
  if (!message.ok()) co_return message.status();
  RequestSubject subject = {.request = &served};
  TargetVersion target = protocol.FindTarget(**message, *models, subject);
  if (IsAsleep(subject, target)) {
    models.reset();
    Task<TargetVersion> wake = FindAwake(served, catalog, subject.model->name(), [&](const CatalogSnapshot& awake) {
      return protocol.FindTarget(**message, awake, subject);
    });
    target = co_await wake;
  }
  // Null, as a rule.
  std::shared_ptr<const ServedVersion> shadow = subject.routed && target.ok() ? subject.model->Shadow() : nullptr;
  const int64_t copied = protocol.BytesToCopy(**message);
  std::unique_ptr<CopyPlace> place;
  if (shadow != nullptr) place = CopyPlace::Take(subject.model->spec().traffic, bytes + copied);
  ReportTarget(served, started, std::move(subject), target);
  models.reset();
  if (!target.ok()) co_return target.status();
  if ((*target)->config().generator.has_value()) {
    Task<absl::StatusOr<grpc::ByteBuffer>> answer = protocol.Generate(served, *std::move(message), *std::move(target));
    co_return co_await answer;
  }
  if (copied > 0) {
    Task<absl::Status> prepare = PrepareToCopy(served, place == nullptr ? copied : 2 * copied, started);
    if (absl::Status status = co_await prepare; !status.ok()) co_return status;
  }
  absl::StatusOr<DecodedPredict> decoded = protocol.Decode(*message, *std::move(target));
  ReportDecoding(served.report(), started, steady_clock::now());
  if (!decoded.ok()) co_return decoded.status();
  if (place != nullptr) {
    try {
      RunCopy(protocol.Decode(*message, std::move(shadow)), std::move(place));
    } catch (const std::exception&) {
      // There is no memory for a copy.
    }
  }

  std::optional<RequestKey> key;
  if (decoded->cache != nullptr) {
    std::optional<CachedResponse> cached = FindCached(served, *decoded, key);
    if (cached.has_value()) co_return protocol.Encode(*decoded, cached->outputs);
  }

  if (decoded->timeout.has_value()) {
    ServedRequest::Hurry hurry = served.EndBy(started + *decoded->timeout);
    co_await hurry;
  }
  decoded->inference.deadline = served.deadline();
  ModelRunner::Inference inference = decoded->version->runner()->Infer(std::move(decoded->inference), served.stop());
  absl::StatusOr<InferenceResult> result = co_await inference;
  if (!result.ok()) co_return result.status();

  ReportInference(served.report(), result->timings);
  if (key.has_value()) decoded->cache->Store(*key, result->outputs);
  co_return protocol.Encode(*decoded, result->outputs);
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_TENSOR_CALL_H_
