#include "server/services/infer_models.h"

#include <inference/grpc_service.pb.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/model/failure_reason.h"
#include "server/rpc/message_bytes.h"
#include "server/services/field_errors.h"
#include "server/services/infer_generation.h"
#include "server/services/named_version.h"

namespace predictd {
namespace {

// The names of Triton's extensions that the server has as they are written down. Of others, such as model_repository,
// it has only some calls.
constexpr const char* kExtensions[] = {"model_configuration", "parameters", "schedule_policy", "statistics"};

using TensorMetadata = inference::ModelMetadataResponse::TensorMetadata;

void FillTensor(const TensorSpec& spec, TensorMetadata& message) {
  message.set_name(spec.name);
  const absl::string_view datatype = DTypeName(spec.dtype);
  message.set_datatype(datatype.data(), datatype.size());
  message.mutable_shape()->Add(spec.shape.begin(), spec.shape.end());
}

std::string OptionalInputs(const Signature& signature) {
  std::vector<absl::string_view> names;
  for (const TensorSpec& input : signature.inputs) {
    if (input.optional) names.push_back(input.name);
  }
  return absl::StrJoin(names, ",");
}

void FillMetadata(const NamedVersion& named, inference::ModelMetadataResponse& message) {
  const ModelConfig& config = named.config();
  message.set_name(named.model->name());
  for (const auto& version : named.model->versions()) {
    if (named.model->Shows(*version) && version->state() == VersionState::kReady)
      message.add_versions(absl::StrCat(version->number()));
  }
  message.set_platform(named.backend());
  auto& properties = *message.mutable_properties();
  if (!config.description.empty()) properties["description"] = config.description;
  const bool generator = config.generator.has_value();
  properties["kind"] = generator ? "generator" : "tensor";
  const Signature& signature = generator ? InferGeneratorSignature() : named.signature();
  for (const TensorSpec& spec : signature.inputs) FillTensor(spec, *message.add_inputs());
  for (const TensorSpec& spec : signature.outputs) FillTensor(spec, *message.add_outputs());
  properties["max_batch_size"] = absl::StrCat(generator ? 1 : signature.max_batch_size);
  const std::string optional = OptionalInputs(signature);
  if (!optional.empty()) properties["optional_inputs"] = optional;
}

const char* StateName(VersionState state) {
  switch (state) {
    case VersionState::kReady:
      return "READY";
    case VersionState::kLoading:
      return "LOADING";
    case VersionState::kDraining:
      return "UNLOADING";
    case VersionState::kUnloaded:
    case VersionState::kFailed:
      break;
  }
  return "UNAVAILABLE";
}

void FillIndex(const ServedModel& model, bool only_ready, inference::RepositoryIndexResponse& message) {
  if (!model.status().ok() && !only_ready) {
    auto& index = *message.add_models();
    index.set_name(model.name());
    index.set_state("UNAVAILABLE");
    index.set_reason(ShownReason(FailureReason(model.status().message())));
  }
  for (const auto& version : model.versions()) {
    if (!model.Shows(*version)) continue;
    const VersionState state = version->state();
    if (only_ready && state != VersionState::kReady) continue;
    auto& index = *message.add_models();
    index.set_name(model.name());
    index.set_version(absl::StrCat(version->number()));
    index.set_state(StateName(state));
    if (state == VersionState::kFailed) index.set_reason(ShownReason(version->reason()));
    if (state == VersionState::kUnloaded) index.set_reason("unloaded");
  }
}

}  // namespace

Task<absl::StatusOr<grpc::ByteBuffer>> HandleServerLive(Call& /*call*/, grpc::ByteBuffer& request) {
  auto message = ParseMessage<inference::ServerLiveRequest>(request);
  if (!message.ok()) co_return message.status();
  inference::ServerLiveResponse response;
  response.set_live(true);
  co_return SerializeMessage(response);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleServerReady(Call& call, grpc::ByteBuffer& request) {
  auto message = ParseMessage<inference::ServerReadyRequest>(request);
  if (!message.ok()) co_return message.status();
  inference::ServerReadyResponse response;
  response.set_ready(call.environment().health.Serving("").value_or(false));
  co_return SerializeMessage(response);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleServerMetadata(Call& /*call*/, grpc::ByteBuffer& request,
                                                            const std::string& version, bool shared_memory) {
  auto message = ParseMessage<inference::ServerMetadataRequest>(request);
  if (!message.ok()) co_return message.status();
  CompactArena arena;
  auto* response = arena.Create<inference::ServerMetadataResponse>();
  response->set_name("predictd");
  response->set_version(version);
  for (const char* extension : kExtensions) response->add_extensions(extension);
  if (shared_memory) response->add_extensions("system_shared_memory");
  co_return SerializeMessage(*response);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelReady(Call& call, grpc::ByteBuffer& request, const Catalog& catalog) {
  auto message = ParseMessage<inference::ModelReadyRequest>(request);
  if (!message.ok()) co_return message.status();
  const absl::StatusOr<NamedVersion> named =
      FindNamedVersion(call, (*message)->name(), (*message)->version(), *catalog.snapshot());
  // Who waits for a model may ask for it before it exists.
  if (!named.ok() && !absl::IsNotFound(named.status())) co_return named.status();
  inference::ModelReadyResponse response;
  // A model that sleeps is loaded for the next request.
  response.set_ready(named.ok() && (named->ready() || named->model->asleep()));
  co_return SerializeMessage(response);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelMetadata(Call& call, grpc::ByteBuffer& request,
                                                           const Catalog& catalog) {
  auto message = ParseMessage<inference::ModelMetadataRequest>(request);
  if (!message.ok()) co_return message.status();
  const absl::StatusOr<NamedVersion> named =
      FindNamedVersion(call, (*message)->name(), (*message)->version(), *catalog.snapshot());
  if (!named.ok()) co_return named.status();
  if (absl::Status valid = named->CheckConfigured(); !valid.ok()) co_return valid;
  CompactArena arena;
  auto* response = arena.Create<inference::ModelMetadataResponse>();
  FillMetadata(*named, *response);
  co_return SerializeMessage(*response);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleRepositoryIndex(Call& /*call*/, grpc::ByteBuffer& request,
                                                             const Catalog& catalog) {
  auto message = ParseMessage<inference::RepositoryIndexRequest>(request);
  if (!message.ok()) co_return message.status();
  if (!(*message)->repository_name().empty()) {
    FieldErrors errors;
    errors.Add("repository_name", "expected \"\", as there is one repository");
    co_return errors.ToStatus();
  }
  CompactArena arena;
  auto* response = arena.Create<inference::RepositoryIndexResponse>();
  const std::shared_ptr<const CatalogSnapshot> models = catalog.snapshot();
  for (const auto& [name, model] : models->models()) FillIndex(*model, (*message)->ready(), *response);
  co_return SerializeMessage(*response);
}

}  // namespace predictd
