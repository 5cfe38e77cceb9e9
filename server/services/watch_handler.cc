#include "server/services/watch_handler.h"

#include <predictd/v1/model_service.pb.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/async/work_status.h"
#include "server/rpc/loop_hop.h"
#include "server/rpc/message_bytes.h"
#include "server/services/model_message.h"

namespace predictd {
namespace {

// A model as it was sent. It keeps nothing of the model alive.
class SentModel {
 public:
  explicit SentModel(const std::shared_ptr<const ServedModel>& model) : model_(model), states_(StatesOf(*model)) {}

  bool IsStill(const std::shared_ptr<const ServedModel>& model) const {
    // The same object, even if one that was freed lay in the same place.
    return !model_.owner_before(model) && !model.owner_before(model_) && states_ == StatesOf(*model);
  }

 private:
  static std::vector<VersionState> StatesOf(const ServedModel& model) {
    std::vector<VersionState> states;
    for (const auto& version : model.versions()) states.push_back(version->state());
    return states;
  }

  std::weak_ptr<const ServedModel> model_;
  std::vector<VersionState> states_;
};

// The models that were sent, by name.
using SentModels = std::map<std::string, SentModel>;

// The next event that the caller does not know of, which it knows of from now on; not set if there is none.
bool NextEvent(const Call& call, const CatalogSnapshot& models, const std::string& only, int64_t max_message_bytes,
               SentModels& sent, v1::WatchModelsResponse& event) {
  for (const auto& [name, model] : models.models()) {
    if (!only.empty() && name != only) continue;
    SentModel now(model);
    const auto known = sent.find(name);
    if (known != sent.end() && known->second.IsStill(model)) continue;
    sent.insert_or_assign(name, std::move(now));
    FillModel(*model, model->NewestReady(), LimitsOf(call, max_message_bytes), *event.mutable_model());
    return true;
  }
  for (auto known = sent.begin(); known != sent.end(); ++known) {
    if (models.models().contains(known->first)) continue;
    event.set_removed(known->first);
    sent.erase(known);
    return true;
  }
  return false;
}

}  // namespace

Task<absl::Status> HandleWatchModels(Call& call, grpc::ByteBuffer& request, StreamWriter& writer, Catalog& catalog,
                                     int64_t max_message_bytes) {
  auto message = ParseMessage<v1::WatchModelsRequest>(request);
  if (!message.ok()) co_return message.status();
  const std::string& only = (*message)->model_name();
  SentModels sent;
  bool started = false;
  while (true) {
    const uint64_t seen = catalog.changes().count();
    while (true) {
      if (call.stop().stopped()) co_return StopStatus(call.stop().reason(), "the stream");
      CompactArena arena;
      auto* event = arena.Create<v1::WatchModelsResponse>();
      // Taken for each event anew, so that a slow reader keeps no models alive, and gets only the last of several
      // changes.
      if (!NextEvent(call, *catalog.snapshot(), only, max_message_bytes, sent, *event)) {
        if (started) break;
        started = true;
        event->mutable_started()->set_models(static_cast<int64_t>(sent.size()));
      }
      absl::StatusOr<grpc::ByteBuffer> bytes = SerializeMessage(*event);
      if (!bytes.ok()) co_return bytes.status();
      if (!co_await writer.Write(*bytes)) co_return StopStatus(StopReason::kCancelled, "the stream");
    }
    // Whoever changes models has more to do than to tell of it.
    LoopHop back(call.loop());
    ChangeSignal::Change change(catalog.changes(), seen, call.stop());
    co_await change;
    co_await back;
  }
}

}  // namespace predictd
