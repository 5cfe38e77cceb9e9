#include "server/services/infer_parameters.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/services/infer_shared_memory.h"

namespace predictd {
namespace {

using inference::InferParameter;

// The protocol counts the levels of priority from the most urgent one, 1; 0 is the default.
constexpr int64_t kLevels = kMaxPriority + 1;

// What would change the answer if it was done, and so must not be taken as if it was. Shared memory has several names
// that begin alike.
struct Refused {
  absl::string_view name;
  absl::string_view instead;
};
constexpr char kNoSequence[] = "no sequence: each request is served by itself";
constexpr Refused kRefused[] = {
    {"sequence_id", kNoSequence},
    {"sequence_start", kNoSequence},
    {"sequence_end", kNoSequence},
    {"classification", "no classification: the server returns the model's own outputs"},
};
constexpr Refused kSharedMemory = {"shared_memory_", "no shared memory: send and receive elements in the messages"};
// How HTTP says where the bytes of a tensor are. Some clients send it by gRPC, too.
constexpr absl::string_view kBinarySize = "binary_data_size";

// Whether the parameter is there only to say that nothing is wanted.
bool IsNothing(const InferParameter& parameter) {
  switch (parameter.parameter_choice_case()) {
    case InferParameter::kBoolParam:
      return !parameter.bool_param();
    case InferParameter::kInt64Param:
      return parameter.int64_param() == 0;
    case InferParameter::kUint64Param:
      return parameter.uint64_param() == 0;
    case InferParameter::kStringParam:
      return parameter.string_param().empty();
    case InferParameter::kDoubleParam:
    case InferParameter::PARAMETER_CHOICE_NOT_SET:
      break;
  }
  return false;
}

// Why a parameter is refused; null if it is not.
const Refused* FindRefused(const std::string& name) {
  if (absl::StartsWith(name, kSharedMemory.name)) return &kSharedMemory;
  const auto* const found = std::find_if(std::begin(kRefused), std::end(kRefused),
                                         [&](const Refused& refused) { return refused.name == name; });
  return found == std::end(kRefused) ? nullptr : found;
}

// Returns whether there is such a rule for the parameter.
bool Refuse(const std::string& name, const InferParameter& parameter, absl::string_view path, FieldErrors& errors) {
  const Refused* const refused = FindRefused(name);
  if (refused == nullptr) return false;
  if (!IsNothing(parameter)) errors.Add(path, absl::StrCat("expected ", refused->instead));
  return true;
}

// What the protocol reserves for the server that it was written for, and how HTTP says whether an answer is binary or
// JSON.
bool IsReserved(absl::string_view name) {
  return name == "headers" || name == "binary_data" || name == "binary_data_output" ||
         absl::StartsWith(name, "triton_");
}

// An integer of either kind from 0 to `most`.
int64_t ReadInteger(const InferParameter& parameter, int64_t most, const std::string& path, FieldErrors& errors) {
  const bool is_signed = parameter.parameter_choice_case() == InferParameter::kInt64Param;
  const bool is_unsigned = parameter.parameter_choice_case() == InferParameter::kUint64Param;
  if (is_signed && parameter.int64_param() >= 0 && parameter.int64_param() <= most) return parameter.int64_param();
  if (is_unsigned && parameter.uint64_param() <= static_cast<uint64_t>(most)) {
    return static_cast<int64_t>(parameter.uint64_param());
  }
  errors.Add(path, absl::StrCat("expected an int64_param or uint64_param from 0 to ", most));
  return 0;
}

}  // namespace

std::string ParameterPath(absl::string_view name) {
  return absl::StrCat("parameters[\"", name, "\"]");
}

InferParameters ReadInferParameters(const inference::ModelInferRequest& request, FieldErrors& errors) {
  InferParameters read;
  for (const auto& [name, parameter] : request.parameters()) {
    if (errors.full()) break;
    const std::string path = ParameterPath(name);
    if (name == "priority") {
      const int64_t level = ReadInteger(parameter, kLevels, path, errors);
      if (level != 0) read.priority = kLevels - level;
    } else if (name == "timeout") {
      // Longer ones do not fit into a Duration, and are no limit.
      constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 1'000'000;
      const int64_t timeout = ReadInteger(parameter, kMost, path, errors);
      if (timeout != 0) read.timeout = std::chrono::microseconds(timeout);
    } else if (name == "cache") {
      if (parameter.parameter_choice_case() != InferParameter::kBoolParam) errors.Add(path, "expected a bool_param");
      read.cache = parameter.bool_param();
    } else if (name == "traffic_key") {
      if (parameter.parameter_choice_case() != InferParameter::kStringParam)
        errors.Add(path, "expected a string_param");
    } else if (name == "triton_enable_empty_final_response") {
      if (parameter.parameter_choice_case() != InferParameter::kBoolParam) errors.Add(path, "expected a bool_param");
      read.empty_final_response = parameter.bool_param();
    } else if (!Refuse(name, parameter, path, errors) && !IsReserved(name)) {
      read.others.push_back(name);
    }
  }
  std::sort(read.others.begin(), read.others.end());
  return read;
}

void CheckTensorParameters(const InferParameterMap& parameters, absl::string_view path, bool shared,
                           std::optional<size_t> raw_bytes, std::vector<std::string>& ignored, FieldErrors& errors) {
  for (const auto& [name, parameter] : parameters) {
    if (errors.full()) return;
    if (shared && IsPlaceParameter(name)) continue;
    std::string whole = absl::StrCat(path, ".", ParameterPath(name));
    if (name == kBinarySize) {
      const auto bytes = static_cast<int64_t>(raw_bytes.value_or(0));
      const bool is_signed = parameter.parameter_choice_case() == InferParameter::kInt64Param;
      const bool is_unsigned = parameter.parameter_choice_case() == InferParameter::kUint64Param;
      if (is_signed && parameter.int64_param() == bytes) continue;
      if (is_unsigned && parameter.uint64_param() == static_cast<uint64_t>(bytes)) continue;
      errors.Add(whole, absl::StrCat("expected ", bytes, ", the size of its raw_input_contents"));
    } else if (!Refuse(name, parameter, whole, errors) && !IsReserved(name)) {
      ignored.push_back(std::move(whole));
    }
  }
}

VersionName ReadVersion(const std::string& text, absl::string_view path, FieldErrors& errors) {
  // No label is a number.
  if (!std::all_of(text.begin(), text.end(), absl::ascii_isdigit)) return {.label = text};
  VersionName name;
  if (text.empty() || (absl::SimpleAtoi(text, &name.number) && name.number > 0)) return name;
  errors.Add(path, absl::StrCat("expected \"\", the number of a version, or a label, got '", text, "'"));
  return {};
}

}  // namespace predictd
