#include "server/services/model_message.h"

#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/generation/generator.h"
#include "server/model/failure_reason.h"
#include "server/rpc/duration_field.h"
#include "server/services/named_version.h"
#include "server/services/tensor_codec.h"
#include "server/services/traffic_message.h"

namespace predictd {
namespace {

v1::ModelState ToProto(VersionState state) {
  switch (state) {
    case VersionState::kLoading:
      return v1::MODEL_STATE_LOADING;
    case VersionState::kReady:
      return v1::MODEL_STATE_READY;
    case VersionState::kDraining:
      return v1::MODEL_STATE_DRAINING;
    case VersionState::kUnloaded:
      return v1::MODEL_STATE_UNLOADED;
    case VersionState::kFailed:
      break;
  }
  return v1::MODEL_STATE_FAILED;
}

// The shortest text that reads back as the same number.
template <class Float>
std::string FloatText(const std::byte* element) {
  Float value = 0;
  std::memcpy(&value, element, sizeof(value));
  char text[64];
  return std::string(text, std::to_chars(text, text + sizeof(text), value).ptr);
}

std::string ElementText(DType dtype, const std::byte* element) {
  if (dtype == DType::kFp64) return FloatText<double>(element);
  if (dtype == DType::kFp32) return FloatText<float>(element);
  return ElementName(dtype, element);
}

void FillSpec(const TensorSpec& spec, v1::TensorSpec& message) {
  message.set_name(spec.name);
  message.set_dtype(ToProto(spec.dtype));
  message.mutable_shape()->Add(spec.shape.begin(), spec.shape.end());
  message.set_optional(spec.optional);
  message.set_allow_empty(spec.allow_empty);
  if (!spec.range.has_value()) return;
  message.mutable_range()->set_least(ElementText(spec.dtype, spec.range->least.data()));
  message.mutable_range()->set_most(ElementText(spec.dtype, spec.range->most.data()));
}

void FillPadding(const Padding& padding, v1::Model& message) {
  for (const PaddedInput& padded : padding.inputs) {
    const PaddedLength& length = padding.lengths[padded.length];
    v1::TensorSpec& input = *message.mutable_inputs(static_cast<int>(padded.input));
    if (padded.input == length.input) {
      input.mutable_pad_to()->Add(length.buckets.begin(), length.buckets.end());
    } else {
      input.set_pad_like(length.name);
    }
  }
  for (const PaddedOutput& padded : padding.outputs) {
    message.mutable_outputs(static_cast<int>(padded.output))->set_unpad(padding.lengths[padded.length].name);
  }
  for (const PaddingMask& padded : padding.masks) {
    v1::MaskSpec& mask = *message.add_masks();
    mask.set_name(padded.name);
    mask.set_dtype(ToProto(padded.dtype));
    mask.set_mask_of(padding.lengths[padded.length].name);
  }
}

void FillSignature(const Signature& signature, v1::Model& message) {
  message.set_batched(signature.batched);
  message.set_max_batch_size(signature.max_batch_size);
  for (const TensorSpec& spec : signature.inputs) FillSpec(spec, *message.add_inputs());
  for (const TensorSpec& spec : signature.outputs) FillSpec(spec, *message.add_outputs());
  FillPadding(signature.padding, message);
}

// Leaves the field unset for a time of zero.
template <class Mutable>
void FillTime(absl::Duration time, Mutable field) {
  if (time <= absl::ZeroDuration()) return;
  FillDuration(time, *field());
}

void FillLimits(const ModelConfig& config, const ServerLimits& server, v1::RequestLimits& message) {
  message.set_max_message_bytes(server.max_message_bytes);
  FillTime(server.default_deadline, [&] { return message.mutable_default_deadline(); });
  FillTime(server.max_deadline, [&] { return message.mutable_max_deadline(); });
  message.set_queue_capacity(config.queue_capacity);
  if (config.generator.has_value()) return;
  message.set_queue_bytes(config.queue_bytes);
  FillTime(config.max_queue_delay, [&] { return message.mutable_max_queue_delay(); });
  message.mutable_preferred_batch_sizes()->Add(config.preferred_batch_sizes.begin(),
                                               config.preferred_batch_sizes.end());
  message.set_response_cache_bytes(config.response_cache_bytes);
}

void FillDefaults(const SamplingDefaults& defaults, v1::SamplingDefaults& message) {
  message.set_temperature(defaults.temperature);
  message.set_top_k(defaults.top_k);
  message.set_top_p(defaults.top_p);
  message.set_min_p(defaults.min_p);
  message.set_repetition_penalty(defaults.repetition_penalty);
  message.set_presence_penalty(defaults.presence_penalty);
  message.set_frequency_penalty(defaults.frequency_penalty);
}

// `generator` is null while none is ready.
void FillGenerator(const Generator* generator, const GeneratorConfig& config, v1::GeneratorSpec& message) {
  message.set_vocabulary_size(config.vocabulary_size);
  message.set_max_length(config.max_length);
  message.set_slots(config.slots);
  FillDefaults(config.defaults, *message.mutable_defaults());
  const ChatTemplate* const chat = generator == nullptr ? nullptr : generator->prompts().chat_template();
  message.set_chat(chat != nullptr);
  if (chat == nullptr) return;
  message.mutable_template_arguments()->Add(chat->arguments().begin(), chat->arguments().end());
}

void FillVersion(const ServedVersion& version, v1::ModelVersion& message) {
  const VersionState state = version.state();
  message.set_version(version.number());
  message.set_state(ToProto(state));
  if (state == VersionState::kFailed) message.set_reason(ShownReason(version.reason()));
  if (version.entry().status.ok()) message.set_backend(version.entry().backend->name);
  if (state == VersionState::kReady) message.set_device("cpu");
}

}  // namespace

void FillModel(const ServedModel& model, const ServedVersion* version, const ServerLimits& limits, v1::Model& message) {
  message.set_name(model.name());
  message.set_loaded(model.loaded());
  if (!model.status().ok()) {
    // What is wrong with a folder concerns whoever wrote it: it is the operator's configuration and no secret.
    v1::ModelVersion& failed = *message.add_versions();
    failed.set_state(v1::MODEL_STATE_FAILED);
    failed.set_reason(ShownReason(FailureReason(model.status().message())));
    // What was served before the folder went wrong goes on.
    if (model.versions().empty()) return;
  }
  const bool ready = version != nullptr && version->state() == VersionState::kReady;
  const ModelConfig& config = version == nullptr ? model.config() : version->config();
  message.set_described_version(version == nullptr ? 0 : version->number());
  message.set_description(config.description);
  message.set_kind(config.generator.has_value() ? v1::MODEL_KIND_GENERATOR : v1::MODEL_KIND_TENSOR);
  if (config.generator.has_value()) {
    FillGenerator(ready ? version->generator() : nullptr, *config.generator, *message.mutable_generator());
  } else {
    FillSignature(ready ? version->signature() : config.signature, message);
  }
  FillLimits(config, limits, *message.mutable_limits());
  if (model.traffic() != nullptr) FillTraffic(model.traffic()->split(), *message.mutable_traffic());
  message.mutable_labels()->insert(model.labels().begin(), model.labels().end());
  for (const auto& served : model.versions()) FillVersion(*served, *message.add_versions());
}

ServerLimits LimitsOf(const Call& call, int64_t max_message_bytes) {
  return {.max_message_bytes = max_message_bytes,
          .default_deadline = call.environment().default_deadline,
          .max_deadline = call.environment().max_deadline};
}

}  // namespace predictd
