#include "server/services/request_scan.h"

#include <predictd/v1/prediction_service.pb.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/model/element_types.h"
#include "server/services/field_errors.h"
#include "server/services/tensor_codec.h"
#include "server/services/value_fields.h"
#include "server/services/wire_scan.h"
#include "server/services/wire_schema.h"

namespace predictd {
namespace {

// Models may have this many inputs, outputs or tokens without the scan refusing the request. If a request has more of
// them than its model has, the decoder refuses it with a better message.
constexpr int64_t kFew = 64;

// The most extents of a shape.
constexpr int64_t kMaxRank = 64;

// Where the model determines how many there may be, this limit only ends the scan before it takes long.
constexpr int64_t kMany = int64_t{1} << 16;
constexpr int64_t kMaxTokens = int64_t{1} << 22;

// The limits for the fields of a PredictRequest at `prefix`.
std::vector<WireSchema::Limit> Limits(const std::string& prefix) {
  return {{prefix + "inputs", kMany},
          {prefix + "inputs.shape", kMany},
          {prefix + "inputs.bytes_values", kMaxStrings},
          {prefix + "inputs.string_values", kMaxStrings},
          {prefix + "outputs", kMany},
          {prefix + "parameters", kFew},
          {prefix + "generation.chat.messages", kMany},
          {prefix + "generation.chat.template_arguments", kMany},
          {prefix + "generation.chat.template_arguments.value.list_value.values", kMany},
          {prefix + "generation.chat.template_arguments.value.dict_value.entries", kMany},
          {prefix + "generation.token_ids.ids", kMaxTokens},
          {prefix + "generation.logit_bias", kMaxTokens},
          {prefix + "generation.stop", kFew},
          {prefix + "generation.stop_token_ids", kFew}};
}

// A schema, and those of its fields whose number depends on the model.
struct RequestSchema {
  RequestSchema(const google::protobuf::Descriptor& type, const std::string& prefix)
      : schema(type, Limits(prefix)),
        model_name(schema.at(prefix + "model_name")),
        inputs(schema.at(prefix + "inputs")),
        outputs(schema.at(prefix + "outputs")),
        shape(schema.at(prefix + "inputs.shape")),
        bytes_values(schema.at(prefix + "inputs.bytes_values")),
        string_values(schema.at(prefix + "inputs.string_values")),
        messages(schema.at(prefix + "generation.chat.messages")),
        tokens(schema.at(prefix + "generation.token_ids.ids")),
        arguments(schema.at(prefix + "generation.chat.template_arguments")),
        entries(schema.at(prefix + "generation.chat.template_arguments.value.dict_value.entries")),
        biases(schema.at(prefix + "generation.logit_bias")) {}

  const WireSchema schema;
  const WireSchema::Field& model_name;
  const WireSchema::Field& inputs;
  const WireSchema::Field& outputs;
  const WireSchema::Field& shape;
  const WireSchema::Field& bytes_values;
  const WireSchema::Field& string_values;
  const WireSchema::Field& messages;
  const WireSchema::Field& tokens;
  const WireSchema::Field& arguments;
  const WireSchema::Field& entries;
  const WireSchema::Field& biases;
};

const RequestSchema& SchemaOf(PredictCall call) {
  static const RequestSchema predict(*v1::PredictRequest::descriptor(), "");
  static const RequestSchema stream(*v1::PredictStreamRequest::descriptor(), "predict.");
  return call == PredictCall::kPredict ? predict : stream;
}

// Checks against what the model has room for. A request without a known model is an error whatever it contains.
void CheckCounts(const RequestSchema& schema, const WireScan& scan, const ModelConfig* config, FieldErrors& errors) {
  const auto check = [&](const WireSchema::Field& field, int64_t most, int64_t beside = 0) {
    const int64_t got = scan.counts[field.index] + beside;
    if (got <= most) return;
    errors.Add(field.path, absl::StrCat("expected at most ", most, ", got ", got));
  };
  const int64_t inputs = config == nullptr ? 0 : static_cast<int64_t>(config->signature.inputs.size());
  const int64_t outputs = config == nullptr ? 0 : static_cast<int64_t>(config->signature.outputs.size());
  check(schema.inputs, std::max(kFew, inputs));
  check(schema.outputs, std::max(kFew, outputs));
  check(schema.shape, kMaxRank * std::max(kFew, inputs));
  // Both kinds of strings count together.
  check(schema.string_values, kMaxStrings, scan.counts[schema.bytes_values.index]);
  const bool generator = config != nullptr && config->generator.has_value();
  const int64_t length = generator ? config->generator->max_length : 0;
  // Each message of a chat takes at least one token.
  check(schema.messages, std::max(kFew, length));
  check(schema.tokens, std::max(kFew, length));
  check(schema.biases, std::max(kFew, generator ? config->generator->vocabulary_size : 0));
}

// Nanoseconds for each 16 bytes of an input, besides parsing them (measured).
int64_t DecodingCost(const TensorSpec& spec) {
  constexpr int64_t kStrings = 128;
  return VisitElementType(spec.dtype, kStrings, [](auto type) -> int64_t {
    if constexpr (std::is_same_v<decltype(type), BoolElement>) return 8;
    // What is narrower than in a message is written anew.
    return sizeof(typename decltype(type)::Stored) < 4 ? 32 : 0;
  });
}

Duration DecodingTime(const ModelConfig& config, size_t bytes) {
  int64_t cost = 0;
  for (const TensorSpec& spec : config.signature.inputs) cost = std::max(cost, DecodingCost(spec));
  return Duration(static_cast<int64_t>(bytes) * cost / 16);
}

// The time for reading the arguments of a chat's template, which are sorted by name.
Duration ArgumentTime(const RequestSchema& schema, const WireScan& scan) {
  // Nanoseconds, besides parsing (measured).
  constexpr int64_t kEntry = 250;
  return Duration(kEntry * (scan.counts[schema.arguments.index] + scan.counts[schema.entries.index]));
}

}  // namespace

absl::StatusOr<RequestScan> ScanRequest(grpc::ByteBuffer& bytes, PredictCall call, const CatalogSnapshot& models,
                                        Duration most) {
  const RequestSchema& schema = SchemaOf(call);
  const absl::StatusOr<WireScan> scan = ScanWire(bytes, schema.schema, schema.model_name, most);
  if (!scan.ok()) return scan.status();
  if (!scan->complete) return RequestScan{.time = most + Duration(1)};
  std::shared_ptr<const ServedModel> model;
  // If the name is missing or too long, parsing finds the error.
  if (!scan->text.empty()) {
    absl::StatusOr<std::shared_ptr<const ServedModel>> found = models.Find(scan->text);
    if (!found.ok()) return found.status();
    model = *std::move(found);
  }
  FieldErrors errors;
  CheckCounts(schema, *scan, model == nullptr ? nullptr : &model->config(), errors);
  if (!errors.empty()) return errors.ToStatus();
  RequestScan result = {.time = scan->parsing, .memory = scan->memory};
  result.time += ArgumentTime(schema, *scan);
  if (model != nullptr) result.time += DecodingTime(model->config(), bytes.Length());
  for (const WireScan::Packed& packed : scan->packed) {
    if (packed.field->parent != &schema.inputs) continue;
    result.elements.push_back(
        {static_cast<int>(packed.instance), packed.field->number, static_cast<int>(packed.elements)});
  }
  return result;
}

void ReserveElements(const RequestScan& scan, v1::PredictRequest& request) {
  for (const auto& [input, field, count] : scan.elements) {
    while (request.inputs_size() <= input) request.add_inputs();
    v1::Tensor& tensor = *request.mutable_inputs(input);
    ForEachNumberField([&, number = field, elements = count](const auto& values) {
      if (static_cast<int>(values.field) == number) values.MutableOf(tensor).Reserve(elements);
    });
  }
  // Cleared messages keep their memory, and are the first to be reused.
  request.clear_inputs();
}

}  // namespace predictd
