#include "server/services/infer_statistics.h"

#include <inference/grpc_service.pb.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/engine/runner_statistics.h"
#include "server/rpc/message_bytes.h"
#include "server/services/field_errors.h"
#include "server/services/named_version.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

void FillSum(int64_t count, Duration time, inference::StatisticDuration& message) {
  message.set_count(static_cast<uint64_t>(count));
  message.set_ns(static_cast<uint64_t>(time.count()));
}

// Milliseconds since 1970.
uint64_t WallTime(TimePoint time) {
  const system_clock::time_point wall = system_clock::now() - (steady_clock::now() - time);
  return static_cast<uint64_t>(std::chrono::floor<std::chrono::milliseconds>(wall.time_since_epoch()).count());
}

// The time of a batch is not taken apart. The number of the parts is the whole's, since clients divide by it, and
// perf_analyzer ends if the three are not equal.
template <class Message>
void FillComputation(int64_t count, Duration time, Message& message) {
  FillSum(count, Duration::zero(), *message.mutable_compute_input());
  FillSum(count, time, *message.mutable_compute_infer());
  FillSum(count, Duration::zero(), *message.mutable_compute_output());
}

void FillStatistics(const ServedVersion& version, inference::ModelStatistics& message) {
  message.set_name(version.model());
  message.set_version(absl::StrCat(version.number()));
  if (version.runner() == nullptr) return;
  const RunnerStatistics::Snapshot all = version.runner()->statistics().Read();
  if (all.last != TimePoint()) message.set_last_inference(WallTime(all.last));
  message.set_inference_count(static_cast<uint64_t>(all.rows));
  message.set_execution_count(static_cast<uint64_t>(all.batches));
  inference::InferStatistics& requests = *message.mutable_inference_stats();
  const ResponseCache* const cache = version.cache();
  const int64_t hits = cache == nullptr ? 0 : cache->hits();
  FillSum(all.answered.count + hits, all.answered.time, *requests.mutable_success());
  FillSum(all.failed.count, all.failed.time, *requests.mutable_fail());
  FillSum(all.answered.count, all.queued, *requests.mutable_queue());
  FillComputation(all.answered.count, all.computed, requests);
  FillSum(hits, Duration::zero(), *requests.mutable_cache_hit());
  FillSum(cache == nullptr ? 0 : cache->misses(), Duration::zero(), *requests.mutable_cache_miss());
  for (const RunnerStatistics::Batches& batches : all.by_rows) {
    inference::InferBatchStatistics& size = *message.add_batch_stats();
    size.set_batch_size(static_cast<uint64_t>(batches.rows));
    FillComputation(batches.runs.count, batches.runs.time, size);
  }
}

void FillModel(const ServedModel& model, inference::ModelStatisticsResponse& message) {
  for (const auto& version : model.versions()) {
    if (model.Shows(*version) && version->state() == VersionState::kReady)
      FillStatistics(*version, *message.add_model_stats());
  }
}

}  // namespace

Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelStatistics(Call& call, grpc::ByteBuffer& request,
                                                             const Catalog& catalog) {
  auto message = ParseMessage<inference::ModelStatisticsRequest>(request);
  if (!message.ok()) co_return message.status();
  const std::string& name = (*message)->name();
  const std::string& version = (*message)->version();
  const std::shared_ptr<const CatalogSnapshot> models = catalog.snapshot();
  CompactArena arena;
  auto* response = arena.Create<inference::ModelStatisticsResponse>();
  if (name.empty() && version.empty()) {
    for (const auto& [unused, model] : models->models()) FillModel(*model, *response);
    co_return SerializeMessage(*response);
  }
  const absl::StatusOr<NamedVersion> named = FindNamedVersion(call, name, version, *models);
  if (!named.ok()) co_return named.status();
  const int64_t number = version.empty() ? 0 : named->version->number();
  const absl::StatusOr<std::shared_ptr<const ServedVersion>> ready = named->model->Choose(number);
  if (!ready.ok()) co_return ready.status();
  if (number == 0) {
    FillModel(*named->model, *response);
  } else {
    FillStatistics(**ready, *response->add_model_stats());
  }
  co_return SerializeMessage(*response);
}

}  // namespace predictd
