#include "server/rpc/request_scan.h"

#include <predictd/v1/prediction_service.pb.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/rpc/field_errors.h"
#include "server/rpc/tensor_codec.h"
#include "server/rpc/wire_scan.h"
#include "server/rpc/wire_schema.h"

namespace predictd {
namespace {

// What a model may have of inputs, outputs or tokens without the request being refused by the scan. What is more than
// the model has of them is refused by whoever decodes it, who says it better.
constexpr int64_t kFew = 64;

// Extents of a shape.
constexpr int64_t kMaxRank = 64;

// Where the model says how many there may be, the scan only ends before it takes long.
constexpr int64_t kMany = int64_t{1} << 16;
constexpr int64_t kMaxTokens = int64_t{1} << 22;

// Of the fields of a PredictRequest that is called `prefix`.
std::vector<WireSchema::Limit> Limits(const std::string& prefix) {
  return {{prefix + "inputs", kMany},
          {prefix + "inputs.shape", kMany},
          {prefix + "inputs.bytes_values", kMaxStrings},
          {prefix + "outputs", kMany},
          {prefix + "parameters", kFew},
          {prefix + "generation.chat.messages", kMany},
          {prefix + "generation.token_ids.ids", kMaxTokens},
          {prefix + "generation.logit_bias", kMaxTokens},
          {prefix + "generation.stop", kFew},
          {prefix + "generation.stop_token_ids", kFew}};
}

// A schema, and the fields of it whose number depends on the model.
struct RequestSchema {
  RequestSchema(const google::protobuf::Descriptor& type, const std::string& prefix)
      : schema(type, Limits(prefix)),
        model_name(schema.at(prefix + "model_name")),
        inputs(schema.at(prefix + "inputs")),
        outputs(schema.at(prefix + "outputs")),
        shape(schema.at(prefix + "inputs.shape")),
        messages(schema.at(prefix + "generation.chat.messages")),
        tokens(schema.at(prefix + "generation.token_ids.ids")),
        biases(schema.at(prefix + "generation.logit_bias")) {}

  const WireSchema schema;
  const WireSchema::Field& model_name;
  const WireSchema::Field& inputs;
  const WireSchema::Field& outputs;
  const WireSchema::Field& shape;
  const WireSchema::Field& messages;
  const WireSchema::Field& tokens;
  const WireSchema::Field& biases;
};

const RequestSchema& SchemaOf(PredictCall call) {
  static const RequestSchema predict(*v1::PredictRequest::descriptor(), "");
  static const RequestSchema stream(*v1::PredictStreamRequest::descriptor(), "predict.");
  return call == PredictCall::kPredict ? predict : stream;
}

// What the model leaves room for. A request without a known model is an error whatever it holds.
void CheckCounts(const RequestSchema& schema, const WireScan& scan, const ModelConfig* config, FieldErrors& errors) {
  const auto check = [&](const WireSchema::Field& field, int64_t most) {
    const int64_t got = scan.counts[field.index];
    if (got <= most) return;
    errors.Add(field.path, absl::StrCat("expected at most ", most, ", got ", got));
  };
  const int64_t inputs = config == nullptr ? 0 : static_cast<int64_t>(config->signature.inputs.size());
  const int64_t outputs = config == nullptr ? 0 : static_cast<int64_t>(config->signature.outputs.size());
  check(schema.inputs, std::max(kFew, inputs));
  check(schema.outputs, std::max(kFew, outputs));
  check(schema.shape, kMaxRank * std::max(kFew, inputs));
  const bool generator = config != nullptr && config->generator.has_value();
  const int64_t length = generator ? config->generator->max_length : 0;
  // Each message of a chat has a token at least.
  check(schema.messages, std::max(kFew, length));
  check(schema.tokens, std::max(kFew, length));
  check(schema.biases, std::max(kFew, generator ? config->generator->vocabulary_size : 0));
}

// Nanoseconds for each 16 bytes of an input, beside parsing them (measured, see request_scan_bench).
int64_t DecodingCost(const TensorSpec& spec) {
  switch (spec.dtype) {
    case DType::kBytes:
      return 128;
    case DType::kUint8:
    case DType::kUint16:
    case DType::kInt8:
    case DType::kInt16:
    case DType::kFp16:
    case DType::kBf16:
      return 32;
    case DType::kBool:
      return 8;
    default:
      return 0;
  }
}

Duration Decoding(const ModelConfig& config, size_t bytes) {
  int64_t cost = 0;
  for (const TensorSpec& spec : config.signature.inputs) cost = std::max(cost, DecodingCost(spec));
  return Duration(static_cast<int64_t>(bytes) * cost / 16);
}

}  // namespace

absl::StatusOr<RequestScan> ScanRequest(grpc::ByteBuffer& bytes, PredictCall call, const Catalog& catalog,
                                        Duration most) {
  const RequestSchema& schema = SchemaOf(call);
  const absl::StatusOr<WireScan> scan = ScanWire(bytes, schema.schema, schema.model_name, most);
  if (!scan.ok()) return scan.status();
  if (!scan->complete) return RequestScan{.time = most + Duration(1)};
  const ServedModel* model = nullptr;
  // Without a name, or with one that is too long, the request is an error that is found when it is parsed.
  if (!scan->text.empty()) {
    absl::StatusOr<const ServedModel*> found = catalog.Find(scan->text);
    if (!found.ok()) return found.status();
    model = *found;
  }
  FieldErrors errors;
  CheckCounts(schema, *scan, model == nullptr ? nullptr : &model->config(), errors);
  if (!errors.empty()) return errors.ToStatus();
  RequestScan result = {.time = scan->parsing, .memory = scan->memory};
  if (model != nullptr) result.time += Decoding(model->config(), bytes.Length());
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
    switch (field) {
      case v1::Tensor::kBoolValuesFieldNumber:
        tensor.mutable_bool_values()->Reserve(count);
        break;
      case v1::Tensor::kIntValuesFieldNumber:
        tensor.mutable_int_values()->Reserve(count);
        break;
      case v1::Tensor::kInt64ValuesFieldNumber:
        tensor.mutable_int64_values()->Reserve(count);
        break;
      case v1::Tensor::kUintValuesFieldNumber:
        tensor.mutable_uint_values()->Reserve(count);
        break;
      case v1::Tensor::kUint64ValuesFieldNumber:
        tensor.mutable_uint64_values()->Reserve(count);
        break;
      case v1::Tensor::kFloatValuesFieldNumber:
        tensor.mutable_float_values()->Reserve(count);
        break;
      case v1::Tensor::kDoubleValuesFieldNumber:
        tensor.mutable_double_values()->Reserve(count);
        break;
      default:
        break;
    }
  }
  // Cleared messages keep their room, and are the first to be added again.
  request.clear_inputs();
}

}  // namespace predictd
