#include "server/services/infer_parameters.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

using inference::InferParameter;

// The protocol counts the levels of priority from the most urgent one, 1; 0 is the default.
constexpr int64_t kLevels = kMaxPriority + 1;

// What nobody else does, and so must not be taken as if it was done. The names of shared memory and of HTTP's binary
// data are those of whole groups.
struct Refused {
  absl::string_view name;
  absl::string_view instead;
};
constexpr Refused kRefused[] = {
    {"sequence_id", "no sequence: each request is served by itself"},
    {"sequence_start", "no sequence: each request is served by itself"},
    {"sequence_end", "no sequence: each request is served by itself"},
    {"classification", "no classification: the server returns the model's own outputs"},
};
constexpr Refused kRefusedGroups[] = {
    {"shared_memory_", "no shared memory: send and receive elements in the messages"},
    {"binary_data", "no binary data as over HTTP: use raw_input_contents, and read raw_output_contents"},
};

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
  const auto* const one = std::find_if(std::begin(kRefused), std::end(kRefused),
                                       [&](const Refused& refused) { return refused.name == name; });
  if (one != std::end(kRefused)) return one;
  const auto* const group = std::find_if(std::begin(kRefusedGroups), std::end(kRefusedGroups),
                                         [&](const Refused& refused) { return absl::StartsWith(name, refused.name); });
  return group == std::end(kRefusedGroups) ? nullptr : group;
}

// Returns whether there is such a rule for the parameter.
bool Refuse(const std::string& name, const InferParameter& parameter, absl::string_view path, FieldErrors& errors) {
  const Refused* const refused = FindRefused(name);
  if (refused == nullptr) return false;
  // Binary data of size 0 is still binary data.
  const bool nothing = IsNothing(parameter) && !absl::StartsWith(name, "binary_data");
  if (!nothing) errors.Add(path, absl::StrCat("expected ", refused->instead));
  return true;
}

// What the protocol reserves for the server that it was written for.
bool IsReserved(absl::string_view name) {
  return name == "headers" || absl::StartsWith(name, "triton_");
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
    } else if (!Refuse(name, parameter, path, errors) && !IsReserved(name)) {
      read.others.push_back(name);
    }
  }
  std::sort(read.others.begin(), read.others.end());
  return read;
}

void CheckTensorParameters(const InferParameterMap& parameters, absl::string_view path,
                           std::vector<std::string>& ignored, FieldErrors& errors) {
  for (const auto& [name, parameter] : parameters) {
    if (errors.full()) return;
    std::string whole = absl::StrCat(path, ".", ParameterPath(name));
    if (Refuse(name, parameter, whole, errors) || IsReserved(name)) continue;
    ignored.push_back(std::move(whole));
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
