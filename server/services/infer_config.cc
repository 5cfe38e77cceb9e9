#include "server/services/infer_config.h"

#include <inference/grpc_service.pb.h>

#include <algorithm>

#include "absl/time/time.h"
#include "server/model/waiting_order.h"
#include "server/rpc/message_bytes.h"
#include "server/services/infer_generation.h"

namespace predictd {
namespace {

inference::DataType ToTriton(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return inference::TYPE_BOOL;
    case DType::kUint8:
      return inference::TYPE_UINT8;
    case DType::kUint16:
      return inference::TYPE_UINT16;
    case DType::kUint32:
      return inference::TYPE_UINT32;
    case DType::kUint64:
      return inference::TYPE_UINT64;
    case DType::kInt8:
      return inference::TYPE_INT8;
    case DType::kInt16:
      return inference::TYPE_INT16;
    case DType::kInt32:
      return inference::TYPE_INT32;
    case DType::kInt64:
      return inference::TYPE_INT64;
    case DType::kFp16:
      return inference::TYPE_FP16;
    case DType::kBf16:
      return inference::TYPE_BF16;
    case DType::kFp32:
      return inference::TYPE_FP32;
    case DType::kFp64:
      return inference::TYPE_FP64;
    case DType::kBytes:
      break;
  }
  return inference::TYPE_STRING;
}

// Fills a ModelInput or a ModelOutput. In a batched model the first extent counts rows, and is no dimension here.
template <class Message>
void FillTensor(const TensorSpec& spec, bool batched, Message& message) {
  message.set_name(spec.name);
  message.set_data_type(ToTriton(spec.dtype));
  message.mutable_dims()->Add(spec.shape.begin() + (batched ? 1 : 0), spec.shape.end());
}

void FillPolicy(const VersionPolicy& policy, inference::ModelVersionPolicy& message) {
  switch (policy.kind) {
    case VersionPolicy::Kind::kLatest:
      message.mutable_latest()->set_num_versions(1);
      break;
    case VersionPolicy::Kind::kAll:
      message.mutable_all();
      break;
    case VersionPolicy::Kind::kListed:
      message.mutable_specific()->mutable_versions()->Add(policy.listed.begin(), policy.listed.end());
      break;
  }
}

void FillBatching(const ModelConfig& config, inference::ModelDynamicBatching& message) {
  for (int64_t rows : config.preferred_batch_sizes) message.add_preferred_batch_size(static_cast<int32_t>(rows));
  message.set_max_queue_delay_microseconds(static_cast<uint64_t>(absl::ToInt64Microseconds(config.max_queue_delay)));
  message.set_priority_levels(kMaxPriority + 1);
  message.set_default_priority_level(kMaxPriority + 1 - kDefaultPriority);
  inference::ModelQueuePolicy& queue = *message.mutable_default_queue_policy();
  queue.set_allow_timeout_override(true);
  queue.set_max_queue_size(static_cast<uint32_t>(config.queue_capacity));
}

void FillSignature(const Signature& signature, inference::ModelConfig& message) {
  for (const TensorSpec& spec : signature.inputs) {
    inference::ModelInput& input = *message.add_input();
    FillTensor(spec, signature.batched, input);
    input.set_optional(spec.optional);
  }
  for (const TensorSpec& spec : signature.outputs) FillTensor(spec, signature.batched, *message.add_output());
  if (signature.batched) message.set_max_batch_size(static_cast<int32_t>(signature.max_batch_size));
}

}  // namespace

void FillInferConfig(const NamedVersion& named, int workers, inference::ModelConfig& message) {
  const ModelConfig& config = named.config();
  const bool generator = config.generator.has_value();
  message.set_name(named.model->name());
  message.set_platform(named.backend());
  message.set_backend(named.backend());
  message.set_default_model_filename(named.file_name());
  FillPolicy(config.version_policy, *message.mutable_version_policy());
  inference::ModelInstanceGroup& group = *message.add_instance_group();
  group.set_name(named.model->name());
  group.set_kind(inference::ModelInstanceGroup::KIND_CPU);
  const int64_t limit = generator ? 1 : config.max_concurrency;
  group.set_count(static_cast<int32_t>(limit == 0 ? workers : std::min<int64_t>(limit, workers)));
  message.mutable_model_transaction_policy()->set_decoupled(generator);
  message.mutable_response_cache()->set_enable(config.response_cache_bytes > 0);
  if (!config.description.empty()) {
    (*message.mutable_parameters())["description"].set_string_value(config.description);
  }
  const Signature& signature = generator ? InferGeneratorSignature() : named.signature();
  FillSignature(signature, message);
  if (signature.batched) FillBatching(config, *message.mutable_dynamic_batching());
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelConfig(Call& call, grpc::ByteBuffer& request, const Catalog& catalog,
                                                         int workers) {
  auto message = ParseMessage<inference::ModelConfigRequest>(request);
  if (!message.ok()) co_return message.status();
  const absl::StatusOr<NamedVersion> named =
      FindNamedVersion(call, (*message)->name(), (*message)->version(), *catalog.snapshot());
  if (!named.ok()) co_return named.status();
  if (absl::Status valid = named->CheckConfigured(); !valid.ok()) co_return valid;
  CompactArena arena;
  auto* response = arena.Create<inference::ModelConfigResponse>();
  FillInferConfig(*named, workers, *response->mutable_config());
  co_return SerializeMessage(*response);
}

}  // namespace predictd
