#include "server/services/infer_sampling.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

using google::protobuf::Value;
using inference::InferParameter;

// An event loop parses it.
constexpr size_t kMaxJson = size_t{16} << 10;
// The integers up to here are exact as numbers of JSON.
constexpr double kExact = 9007199254740992.0;

// Numbers as text keep all their digits.
Value ToValue(const InferParameter& parameter) {
  Value value;
  switch (parameter.parameter_choice_case()) {
    case InferParameter::kBoolParam:
      value.set_bool_value(parameter.bool_param());
      break;
    case InferParameter::kInt64Param:
      value.set_string_value(absl::StrCat(parameter.int64_param()));
      break;
    case InferParameter::kUint64Param:
      value.set_string_value(absl::StrCat(parameter.uint64_param()));
      break;
    case InferParameter::kDoubleParam:
      value.set_number_value(parameter.double_param());
      break;
    case InferParameter::kStringParam:
      value.set_string_value(parameter.string_param());
      break;
    case InferParameter::PARAMETER_CHOICE_NOT_SET:
      break;
  }
  return value;
}

template <class Integer>
std::optional<Integer> AsInteger(const Value& value) {
  Integer integer = 0;
  if (value.kind_case() == Value::kStringValue && absl::SimpleAtoi(value.string_value(), &integer)) return integer;
  const double number = value.number_value();
  if (value.kind_case() != Value::kNumberValue || number != std::floor(number) || std::abs(number) > kExact) {
    return std::nullopt;
  }
  if (number < static_cast<double>(std::numeric_limits<Integer>::min()) ||
      number > static_cast<double>(std::numeric_limits<Integer>::max())) {
    return std::nullopt;
  }
  return static_cast<Integer>(number);
}

std::optional<double> AsDouble(const Value& value) {
  double number = value.number_value();
  if (value.kind_case() == Value::kNumberValue) return number;
  if (value.kind_case() == Value::kStringValue && absl::SimpleAtod(value.string_value(), &number)) return number;
  return std::nullopt;
}

std::optional<bool> AsBool(const Value& value) {
  bool flag = value.bool_value();
  if (value.kind_case() == Value::kBoolValue) return flag;
  if (value.kind_case() == Value::kStringValue && absl::SimpleAtob(value.string_value(), &flag)) return flag;
  return std::nullopt;
}

// Reads one parameter into a GenerationRequest.
class SamplingReader {
 public:
  SamplingReader(const std::string& name, const Value& value, v1::GenerationRequest& generation, FieldErrors& errors)
      : name_(name), value_(value), generation_(generation), errors_(errors) {}

  // False if there is no parameter of that name.
  bool Read() {
    using G = v1::GenerationRequest;
    if (name_ == "max_tokens") return Set(AsInteger<int64_t>(value_), &G::set_max_tokens, "an integer");
    if (name_ == "temperature") return Set(AsDouble(value_), &G::set_temperature, "a number");
    if (name_ == "top_p") return Set(AsDouble(value_), &G::set_top_p, "a number");
    if (name_ == "min_p") return Set(AsDouble(value_), &G::set_min_p, "a number");
    if (name_ == "top_k") return ReadTopK();
    if (name_ == "repetition_penalty") return Set(AsDouble(value_), &G::set_repetition_penalty, "a number");
    if (name_ == "presence_penalty") return Set(AsDouble(value_), &G::set_presence_penalty, "a number");
    if (name_ == "frequency_penalty") return Set(AsDouble(value_), &G::set_frequency_penalty, "a number");
    if (name_ == "seed") return Set(AsInteger<uint64_t>(value_), &G::set_seed, "an integer of at least 0");
    if (name_ == "n") return Set(AsInteger<int32_t>(value_), &G::set_n, "an integer");
    if (name_ == "ignore_eos") return Set(AsBool(value_), &G::set_ignore_end, "true or false");
    if (name_ == "parse_special_tokens") return Set(AsBool(value_), &G::set_parse_special_tokens, "true or false");
    if (name_ == "stop") return ReadStop();
    if (name_ == "stop_token_ids") return ReadStopTokens();
    return false;
  }

 private:
  bool Fail(absl::string_view expected) {
    errors_.Add(absl::StrCat(kSamplingPath, name_), absl::StrCat("expected ", expected));
    return true;
  }

  template <class Read, class Field>
  bool Set(std::optional<Read> read, void (v1::GenerationRequest::*set)(Field), absl::string_view expected) {
    if (!read.has_value()) return Fail(expected);
    (generation_.*set)(*read);
    return true;
  }

  // vLLM has -1 for all tokens, too.
  bool ReadTopK() {
    const std::optional<int64_t> top_k = AsInteger<int64_t>(value_);
    if (!top_k.has_value()) return Fail("an integer");
    generation_.set_top_k(*top_k == -1 ? 0 : *top_k);
    return true;
  }

  bool ReadStop() {
    constexpr absl::string_view kExpected = "text or a list of texts";
    generation_.clear_stop();
    if (value_.kind_case() == Value::kStringValue) {
      generation_.add_stop(value_.string_value());
      return true;
    }
    if (value_.kind_case() != Value::kListValue) return Fail(kExpected);
    for (const Value& stop : value_.list_value().values()) {
      if (stop.kind_case() != Value::kStringValue) return Fail(kExpected);
      generation_.add_stop(stop.string_value());
    }
    return true;
  }

  bool ReadStopTokens() {
    constexpr absl::string_view kExpected = "a list of token ids";
    generation_.clear_stop_token_ids();
    if (value_.kind_case() != Value::kListValue) return Fail(kExpected);
    for (const Value& token : value_.list_value().values()) {
      const std::optional<int32_t> id = AsInteger<int32_t>(token);
      if (!id.has_value()) return Fail(kExpected);
      generation_.add_stop_token_ids(*id);
    }
    return true;
  }

  const std::string& name_;
  const Value& value_;
  v1::GenerationRequest& generation_;
  FieldErrors& errors_;
};

}  // namespace

bool ReadSamplingParameter(const std::string& name, const InferParameter& parameter, v1::GenerationRequest& generation,
                           FieldErrors& errors) {
  const Value value = ToValue(parameter);
  return SamplingReader(name, value, generation, errors).Read();
}

void ReadSamplingJson(const std::string& json, v1::GenerationRequest& generation, FieldErrors& errors) {
  const std::string field(kSamplingPath.substr(0, kSamplingPath.size() - 1));
  if (json.size() > kMaxJson) {
    errors.Add(field, absl::StrCat("expected at most ", kMaxJson, " bytes, got ", json.size()));
    return;
  }
  google::protobuf::Struct object;
  if (!json.empty() && !google::protobuf::util::JsonStringToMessage(json, &object).ok()) {
    errors.Add(field, "expected a JSON object");
    return;
  }
  for (const auto& [name, value] : object.fields()) {
    if (errors.full()) return;
    if (SamplingReader(name, value, generation, errors).Read()) continue;
    errors.Add(absl::StrCat(kSamplingPath, name),
               "expected frequency_penalty, ignore_eos, max_tokens, min_p, n, parse_special_tokens, presence_penalty, "
               "repetition_penalty, seed, stop, stop_token_ids, temperature, top_k or top_p");
  }
}

}  // namespace predictd
