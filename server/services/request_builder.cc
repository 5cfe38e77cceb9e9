#include "server/services/request_builder.h"

#include <algorithm>
#include <climits>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"

namespace predictd {
namespace {

std::string SpecNames(const std::vector<TensorSpec>& specs) {
  return absl::StrJoin(specs, ", ", [](std::string* out, const TensorSpec& spec) { absl::StrAppend(out, spec.name); });
}

std::optional<size_t> IndexOf(const std::vector<TensorSpec>& specs, const std::string& name) {
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name == name) return i;
  }
  return std::nullopt;
}

}  // namespace

RequestBuilder::RequestBuilder(std::shared_ptr<const ServedVersion> target, std::string prefix,
                               const Signature* signature)
    : signature_(signature == nullptr ? target->signature() : *signature), prefix_(std::move(prefix)) {
  decoded.cache = target->cache();
  decoded.version = std::move(target);
  inputs_.resize(signature_.inputs.size());
}

std::optional<size_t> RequestBuilder::TakeInput(const std::string& name, int place, const std::string& path) {
  const std::vector<TensorSpec>& specs = signature().inputs;
  const std::optional<size_t> index = IndexOf(specs, name);
  if (!index.has_value()) {
    errors.Add(path + ".name", absl::StrCat("expected one of ", SpecNames(specs), ", got '", name, "'"));
    return std::nullopt;
  }
  if (inputs_[*index].place >= 0) {
    errors.Add(path + ".name", absl::StrCat("expected each input once, got ", name, " again"));
    return std::nullopt;
  }
  inputs_[*index].place = place;
  return index;
}

void RequestBuilder::EndInputs() {
  const std::vector<TensorSpec>& specs = signature().inputs;
  decoded.inference.inputs.reserve(specs.size());
  for (size_t i = 0; i < specs.size() && !errors.full(); ++i) {
    Input& input = inputs_[i];
    if (input.place < 0 && specs[i].optional) input.tensor = Tensor::Absent(specs[i].dtype);
    if (input.place < 0 && !specs[i].optional) {
      errors.Add(prefix_ + "inputs", absl::StrCat("expected the input ", specs[i].name, ", got none"));
    }
    if (input.tensor.has_value()) decoded.inference.inputs.push_back(*std::move(input.tensor));
  }
}

void RequestBuilder::AddOutput(const std::string& name, absl::string_view path) {
  const std::vector<TensorSpec>& specs = signature().outputs;
  const std::optional<size_t> index = IndexOf(specs, name);
  if (!index.has_value()) {
    errors.Add(path, absl::StrCat("expected one of ", SpecNames(specs), ", got '", name, "'"));
  } else if (std::count(decoded.outputs.begin(), decoded.outputs.end(), static_cast<int>(*index)) > 0) {
    errors.Add(path, absl::StrCat("expected each output once, got ", name, " again"));
  } else {
    decoded.outputs.push_back(static_cast<int>(*index));
  }
}

void RequestBuilder::EndOutputs() {
  if (!decoded.outputs.empty() || !errors.empty()) return;
  for (size_t i = 0; i < signature().outputs.size(); ++i) decoded.outputs.push_back(static_cast<int>(i));
}

std::string RequestBuilder::ShapePath(size_t input) const {
  const int place = inputs_[input].place;
  return place < 0 ? absl::StrCat(prefix_, "inputs.shape") : absl::StrCat(prefix_, "inputs[", place, "].shape");
}

void RequestBuilder::CheckRows(int64_t max_rows, absl::string_view otherwise) {
  if (!errors.empty() || !signature().batched) return;
  const std::vector<Tensor>& inputs = decoded.inference.inputs;
  // A batched model has at least one input that is not optional.
  size_t first = 0;
  while (!inputs[first].present()) ++first;
  const int64_t rows = inputs[first].shape()[0];
  for (size_t i = first + 1; i < inputs.size() && !errors.full(); ++i) {
    if (!inputs[i].present() || inputs[i].shape()[0] == rows) continue;
    errors.Add(ShapePath(i), absl::StrCat("expected ", rows, " rows as in ", signature().inputs[first].name, ", got ",
                                          inputs[i].shape()[0]));
  }
  if (rows < 1 || rows > max_rows) {
    const bool memory_is_short = max_rows < decoded.version->config().signature.max_batch_size;
    errors.Add(ShapePath(first), absl::StrCat("expected 1 to ", max_rows, " rows, got ", rows,
                                              memory_is_short ? ", as there is no memory here for a larger batch" : "",
                                              otherwise.empty() ? "" : "; ", otherwise));
  }
  decoded.inference.rows = rows;
  for (const LengthError& error : CheckLengths(signature().padding, inputs)) {
    if (errors.full()) return;
    errors.Add(ShapePath(error.input), error.message);
  }
}

void RequestBuilder::CheckLimits() {
  if (!errors.empty()) return;
  const InputLimits& limits = signature().limits;
  if (limits.extents.empty()) return;
  for (const LengthError& error : limits.Check(signature().padding, decoded.inference.inputs)) {
    if (errors.full()) return;
    errors.Add(ShapePath(error.input), error.message);
  }
}

absl::Status CheckAnswerSize(const DecodedPredict& request, absl::Span<const Tensor> outputs,
                             absl::string_view advice) {
  int64_t bytes = 0;
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    const Tensor& output = outputs[request.outputs[i]];
    if (output.present() && request.SharedOutput(i) == nullptr) bytes += EncodedBytes(output, request.encoding);
  }
  if (bytes <= INT_MAX) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the outputs take ", bytes, " bytes, and a message can have ", INT_MAX, ": ask for ", advice));
}

}  // namespace predictd
