#include "server/services/request_scan.h"

#include <inference/grpc_service.pb.h>
#include <predictd/v1/prediction_service.pb.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/model/element_types.h"
#include "server/services/field_errors.h"
#include "server/services/tensor_elements.h"
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

// The most parameters of all inputs, or outputs, together.
constexpr int64_t kManyParameters = 1024;

// The limits for the fields of a PredictRequest at `prefix`.
std::vector<WireSchema::Limit> PredictLimits(const std::string& prefix) {
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

std::vector<WireSchema::Limit> InferLimits() {
  return {{"inputs", kMany},
          {"inputs.shape", kMany},
          {"inputs.parameters", kManyParameters},
          {"inputs.contents.bytes_contents", kMaxStrings},
          {"outputs", kMany},
          {"outputs.parameters", kManyParameters},
          {"parameters", kFew},
          {"raw_input_contents", kMany}};
}

// A schema, and those of its fields whose number depends on the model.
struct RequestSchema {
  // Of one of the messages of predictd.v1.
  RequestSchema(const google::protobuf::Descriptor& type, const std::string& prefix)
      : schema(type, PredictLimits(prefix)),
        model_name(schema.at(prefix + "model_name")),
        elements(schema.at(prefix + "inputs")),
        of_inputs(Fields(prefix, {"inputs"})),
        of_outputs(Fields(prefix, {"outputs"})),
        shapes(Fields(prefix, {"inputs.shape"})),
        strings(Fields(prefix, {"inputs.string_values", "inputs.bytes_values"})),
        of_prompt(Fields(prefix, {"generation.chat.messages", "generation.token_ids.ids"})),
        of_vocabulary(Fields(prefix, {"generation.logit_bias"})),
        arguments(Fields(prefix, {"generation.chat.template_arguments",
                                  "generation.chat.template_arguments.value.dict_value.entries"})) {}
  // Of a ModelInferRequest.
  explicit RequestSchema(const google::protobuf::Descriptor& type)
      : schema(type, InferLimits()),
        model_name(schema.at("model_name")),
        elements(schema.at("inputs.contents")),
        of_inputs(Fields("", {"inputs", "raw_input_contents"})),
        of_outputs(Fields("", {"outputs"})),
        shapes(Fields("", {"inputs.shape"})),
        strings(Fields("", {"inputs.contents.bytes_contents"})) {}

  using FieldList = std::vector<const WireSchema::Field*>;
  FieldList Fields(const std::string& prefix, const std::vector<std::string>& paths) const {
    FieldList fields;
    for (const std::string& path : paths) fields.push_back(&schema.at(prefix + path));
    return fields;
  }

  const WireSchema schema;
  const WireSchema::Field& model_name;
  // The message that has the typed elements of an input.
  const WireSchema::Field& elements;
  // At most one for each input, output, extent, token of a prompt or token of the vocabulary. Strings are counted
  // together.
  const FieldList of_inputs;
  const FieldList of_outputs;
  const FieldList shapes;
  const FieldList strings;
  const FieldList of_prompt = {};
  const FieldList of_vocabulary = {};
  // The arguments of a chat's template, which are sorted by name.
  const FieldList arguments = {};
};

const RequestSchema& SchemaOf(PredictCall call) {
  static const RequestSchema predict(*v1::PredictRequest::descriptor(), "");
  static const RequestSchema stream(*v1::PredictStreamRequest::descriptor(), "predict.");
  static const RequestSchema infer(*inference::ModelInferRequest::descriptor());
  switch (call) {
    case PredictCall::kPredict:
      return predict;
    case PredictCall::kPredictStream:
      return stream;
    case PredictCall::kModelInfer:
      break;
  }
  return infer;
}

// Checks against what the model has room for. A request without a known model is an error whatever it contains.
void CheckCounts(const RequestSchema& schema, const WireScan& scan, const ModelConfig* config, FieldErrors& errors) {
  const auto check = [&](const RequestSchema::FieldList& fields, int64_t most) {
    for (const WireSchema::Field* field : fields) {
      const int64_t got = scan.counts[field->index];
      if (got > most) errors.Add(field->path, absl::StrCat("expected at most ", most, ", got ", got));
    }
  };
  const int64_t inputs = config == nullptr ? 0 : static_cast<int64_t>(config->signature.inputs.size());
  const int64_t outputs = config == nullptr ? 0 : static_cast<int64_t>(config->signature.outputs.size());
  check(schema.of_inputs, std::max(kFew, inputs));
  check(schema.of_outputs, std::max(kFew, outputs));
  check(schema.shapes, kMaxRank * std::max(kFew, inputs));
  int64_t strings = 0;
  for (const WireSchema::Field* field : schema.strings) strings += scan.counts[field->index];
  if (strings > kMaxStrings) {
    errors.Add(schema.strings[0]->path, absl::StrCat("expected at most ", kMaxStrings, ", got ", strings));
  }
  const bool generator = config != nullptr && config->generator.has_value();
  // Each message of a chat takes at least one token.
  check(schema.of_prompt, std::max(kFew, generator ? config->generator->max_length : 0));
  check(schema.of_vocabulary, std::max(kFew, generator ? config->generator->vocabulary_size : 0));
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
  int64_t entries = 0;
  for (const WireSchema::Field* field : schema.arguments) entries += scan.counts[field->index];
  return Duration(kEntry * entries);
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
    if (packed.field->parent != &schema.elements) continue;
    if (call == PredictCall::kModelInfer) {
      // Nothing is reserved for these, so the field takes up to twice as much, and leaves as much behind that it
      // outgrew.
      result.memory += 3 * packed.elements * static_cast<int64_t>(sizeof(int64_t));
      continue;
    }
    result.elements.push_back(
        {static_cast<int>(packed.instance), packed.field->number, static_cast<int>(packed.elements)});
  }
  return result;
}

void ReserveElements(const RequestScan& scan, v1::PredictRequest& request) {
  for (const auto& [input, field, count] : scan.elements) {
    while (request.inputs_size() <= input) request.add_inputs();
    v1::Tensor& tensor = *request.mutable_inputs(input);
    ForEachNumberField<v1::Tensor>([&, number = field, elements = count](const auto& values) {
      if (values.field == number) values.MutableOf(tensor).Reserve(elements);
    });
  }
  // Cleared messages keep their memory, and are the first to be reused.
  request.clear_inputs();
}

}  // namespace predictd
