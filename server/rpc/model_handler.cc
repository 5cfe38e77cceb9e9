#include "server/rpc/model_handler.h"

#include <predictd/v1/model_service.pb.h>

#include <string>
#include <string_view>
#include <vector>

#include "server/generation/generator.h"
#include "server/rpc/field_errors.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/tensor_codec.h"
#include "server/telemetry/utf8.h"

namespace predictd {
namespace {

v1::ModelState ToProto(VersionState state) {
  switch (state) {
    case VersionState::kLoading:
      return v1::MODEL_STATE_LOADING;
    case VersionState::kReady:
      return v1::MODEL_STATE_READY;
    case VersionState::kFailed:
      break;
  }
  return v1::MODEL_STATE_FAILED;
}

void FillSpec(const TensorSpec& spec, v1::TensorSpec& message) {
  message.set_name(spec.name);
  message.set_dtype(ToProto(spec.dtype));
  message.mutable_shape()->Add(spec.shape.begin(), spec.shape.end());
}

void FillSignature(const Signature& signature, v1::Model& message) {
  message.set_batched(signature.batched);
  message.set_max_batch_size(signature.max_batch_size);
  for (const TensorSpec& spec : signature.inputs) FillSpec(spec, *message.add_inputs());
  for (const TensorSpec& spec : signature.outputs) FillSpec(spec, *message.add_outputs());
}

void FillGenerator(const ServedModel& model, const GeneratorConfig& config, v1::GeneratorSpec& message) {
  message.set_vocabulary_size(config.vocabulary_size);
  message.set_max_length(config.max_length);
  message.set_slots(config.slots);
  const absl::StatusOr<ServedVersion*> newest = model.Choose(0);
  message.set_chat(newest.ok() && (*newest)->generator()->chat_template() != nullptr);
}

// It may hold names of files, which may be no text.
std::string Reason(std::string_view reason) {
  constexpr size_t kMaxReason = 1024;
  return ToValidUtf8(reason, kMaxReason);
}

void FillModel(const ServedModel& model, v1::Model& message) {
  message.set_name(model.name());
  const ModelConfig& config = model.config();
  if (!model.status().ok()) {
    // What is wrong with a folder is for whoever wrote it: the operator's configuration, no secret.
    v1::ModelVersion& version = *message.add_versions();
    version.set_state(v1::MODEL_STATE_FAILED);
    version.set_reason(Reason({model.status().message().data(), model.status().message().size()}));
    return;
  }
  message.set_description(config.description);
  message.set_kind(config.generator.has_value() ? v1::MODEL_KIND_GENERATOR : v1::MODEL_KIND_TENSOR);
  if (config.generator.has_value()) {
    FillGenerator(model, *config.generator, *message.mutable_generator());
  } else {
    FillSignature(config.signature, message);
  }
  for (const auto& served : model.versions()) {
    v1::ModelVersion& version = *message.add_versions();
    const VersionState state = served->state();
    version.set_version(served->entry().version);
    version.set_state(ToProto(state));
    if (state == VersionState::kFailed) version.set_reason(Reason(served->reason()));
    version.set_backend(std::string(BackendName(served->entry().backend)));
  }
}

}  // namespace

Task<absl::StatusOr<grpc::ByteBuffer>> HandleListModels(Call& /*call*/, grpc::ByteBuffer& request,
                                                        const Catalog& catalog) {
  auto message = ParseMessage<v1::ListModelsRequest>(request);
  if (!message.ok()) co_return message.status();
  CompactArena arena;
  auto* response = arena.Create<v1::ListModelsResponse>();
  for (const auto& [name, model] : catalog.models()) FillModel(model, *response->add_models());
  co_return SerializeMessage(*response);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleGetModel(Call& call, grpc::ByteBuffer& request, const Catalog& catalog) {
  auto message = ParseMessage<v1::GetModelRequest>(request);
  if (!message.ok()) co_return message.status();
  if ((*message)->model_name().empty()) {
    FieldErrors errors;
    errors.Add("model_name", "expected the name of a model, got none");
    co_return errors.ToStatus();
  }
  absl::StatusOr<const ServedModel*> model = catalog.Find((*message)->model_name());
  if (!model.ok()) co_return model.status();
  call.report().SetModel(*model, 0);
  CompactArena arena;
  auto* response = arena.Create<v1::GetModelResponse>();
  FillModel(**model, *response->mutable_model());
  co_return SerializeMessage(*response);
}

}  // namespace predictd
