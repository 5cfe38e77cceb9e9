#include "tests/client/fake_model_service.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/client/fake_generator.h"
#include "tests/client/waiting_reactors.h"

namespace predictd {
namespace {

void AddVersion(v1::Model& model, std::int64_t number, v1::ModelState state, const std::string& backend) {
  v1::ModelVersion& version = *model.add_versions();
  version.set_version(number);
  version.set_state(state);
  version.set_backend(backend);
}

v1::Model DoubleModel() {
  v1::Model model;
  model.set_name("double");
  model.set_kind(v1::MODEL_KIND_TENSOR);
  model.set_description("Doubles its input.");
  model.set_batched(true);
  model.set_max_batch_size(4);
  model.set_loaded(true);
  AddVersion(model, 3, v1::MODEL_STATE_READY, "torchscript");
  AddVersion(model, 2, v1::MODEL_STATE_FAILED, "aotinductor");
  model.mutable_versions(1)->set_reason("cannot be loaded");
  for (v1::TensorSpec* spec : {model.add_inputs(), model.add_outputs()}) {
    spec->set_dtype(v1::DATA_TYPE_FP32);
    spec->add_shape(-1);
    spec->add_shape(2);
  }
  model.mutable_inputs(0)->set_name("x");
  model.mutable_outputs(0)->set_name("y");
  return model;
}

// As it is while version 4 is in that state.
v1::Model WithVersion4(v1::Model model, v1::ModelState state) {
  model.clear_versions();
  AddVersion(model, 4, state, "torchscript");
  AddVersion(model, 3, v1::MODEL_STATE_READY, "torchscript");
  return model;
}

void AddShare(v1::TrafficSplit& traffic, const std::string& version, std::int64_t weight) {
  v1::TrafficShare& share = *traffic.add_shares();
  share.set_version(version);
  share.set_weight(weight);
}

v1::Model ModelOf(const std::string& name) {
  if (name == "echo") return FakeGeneratorModel();
  v1::Model model = DoubleModel();
  model.set_name(name);
  if (name == "small") model.mutable_limits()->set_max_message_bytes(kSmallRequest);
  if (name == "split") {
    AddShare(*model.mutable_traffic(), "3", 90);
    AddShare(*model.mutable_traffic(), "2", 10);
  }
  return model;
}

v1::WatchModelsResponse Changed(v1::Model model) {
  v1::WatchModelsResponse event;
  *event.mutable_model() = std::move(model);
  return event;
}

v1::WatchModelsResponse Removed(const std::string& name) {
  v1::WatchModelsResponse event;
  event.set_removed(name);
  return event;
}

v1::WatchModelsResponse Started(std::int64_t models) {
  v1::WatchModelsResponse event;
  event.mutable_started()->set_models(models);
  return event;
}

class FakeModelService : public v1::ModelService::CallbackService {
 public:
  FakeModelService(absl::Notification& waiting, absl::Notification& cancelled)
      : waiting_(waiting), cancelled_(cancelled) {}

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context, const v1::ListModelsRequest*,
                                       v1::ListModelsResponse* response) override {
    *response->add_models() = DoubleModel();
    *response->add_models() = FakeGeneratorModel();
    return Finish(*context, grpc::Status::OK);
  }

  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context, const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override {
    if (request->model_name() == "unknown") return Finish(*context, Unknown());
    *response->mutable_model() = ModelOf(request->model_name());
    return Finish(*context, grpc::Status::OK);
  }

  grpc::ServerUnaryReactor* LoadModel(grpc::CallbackServerContext* context, const v1::LoadModelRequest* request,
                                      v1::LoadModelResponse* response) override {
    return Change(*context, request->model_name(),
                  [response](v1::Model model) { *response->mutable_model() = std::move(model); });
  }

  grpc::ServerUnaryReactor* UnloadModel(grpc::CallbackServerContext* context, const v1::UnloadModelRequest* request,
                                        v1::UnloadModelResponse* response) override {
    return Change(*context, request->model_name(), [response](v1::Model model) {
      model.set_loaded(false);
      model.clear_versions();
      AddVersion(model, 3, v1::MODEL_STATE_UNLOADED, "torchscript");
      *response->mutable_model() = std::move(model);
    });
  }

  grpc::ServerUnaryReactor* ReloadModel(grpc::CallbackServerContext* context, const v1::ReloadModelRequest* request,
                                        v1::ReloadModelResponse* response) override {
    return Change(*context, request->model_name(), [response](v1::Model model) {
      *response->mutable_model() = WithVersion4(std::move(model), v1::MODEL_STATE_READY);
    });
  }

  grpc::ServerUnaryReactor* SetTrafficSplit(grpc::CallbackServerContext* context,
                                            const v1::SetTrafficSplitRequest* request,
                                            v1::SetTrafficSplitResponse* response) override {
    return Change(*context, request->model_name(), [request, response](v1::Model model) {
      if (model.has_traffic()) *response->mutable_previous() = model.traffic();
      model.clear_traffic();
      if (request->has_traffic()) *model.mutable_traffic() = request->traffic();
      *response->mutable_model() = std::move(model);
    });
  }

  grpc::ServerWriteReactor<v1::WatchModelsResponse>* WatchModels(grpc::CallbackServerContext*,
                                                                 const v1::WatchModelsRequest* request) override {
    const std::string& name = request->model_name();
    std::vector<v1::WatchModelsResponse> events;
    if (name.empty()) {
      events = {Changed(DoubleModel()), Changed(FakeGeneratorModel()), Started(2),
                Changed(WithVersion4(DoubleModel(), v1::MODEL_STATE_LOADING)), Removed("echo")};
    } else if (name == "unknown") {
      events = {Started(0)};
    } else {
      events = {Changed(ModelOf(name)), Started(1)};
    }
    if (name == "waits") return new EventWriter(std::move(events), waiting_, cancelled_);
    return new EventWriter(std::move(events), {grpc::StatusCode::UNAVAILABLE, "the server is shutting down"});
  }

 private:
  static grpc::ServerUnaryReactor* Finish(grpc::CallbackServerContext& context, const grpc::Status& status) {
    context.AddTrailingMetadata("server-timing", kFakeTimings);
    grpc::ServerUnaryReactor* call = context.DefaultReactor();
    call->Finish(status);
    return call;
  }

  static grpc::Status Unknown() { return {grpc::StatusCode::NOT_FOUND, "no model 'unknown', only 'double'"}; }

  // Answers a call that changes a model: `fill` gets the model as it was before.
  template <typename Fill>
  grpc::ServerUnaryReactor* Change(grpc::CallbackServerContext& context, const std::string& name, Fill fill) {
    if (name == "waits") return new WaitingCall(waiting_, cancelled_);
    if (name == "unknown") return Finish(context, Unknown());
    if (name == "locked") return Finish(context, {grpc::StatusCode::PERMISSION_DENIED, "nothing may be changed here"});
    fill(ModelOf(name));
    return Finish(context, grpc::Status::OK);
  }

  absl::Notification& waiting_;
  absl::Notification& cancelled_;
};

}  // namespace

std::unique_ptr<v1::ModelService::CallbackService> MakeFakeModelService(absl::Notification& waiting,
                                                                        absl::Notification& cancelled) {
  return std::make_unique<FakeModelService>(waiting, cancelled);
}

}  // namespace predictd
