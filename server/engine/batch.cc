#include "server/engine/batch.h"

#include <algorithm>
#include <cstring>

namespace predictd {
namespace {

// Bytes in a received message lie anywhere; compiled models load 16 at a time.
constexpr uintptr_t kInputAlignment = 16;

bool IsAligned(const Tensor& tensor) {
  return tensor.dtype() == DType::kBytes || reinterpret_cast<uintptr_t>(tensor.data()) % kInputAlignment == 0;
}

Tensor StackStrings(absl::Span<const std::shared_ptr<Job>> jobs, size_t input, Shape shape) {
  auto strings = std::make_shared<std::vector<std::string>>();
  for (const auto& job : jobs) {
    const absl::Span<const std::string> part = job->request.inputs[input].strings();
    strings->insert(strings->end(), part.begin(), part.end());
  }
  return Tensor(std::move(shape), std::move(strings));
}

Tensor StackInput(absl::Span<const std::shared_ptr<Job>> jobs, size_t input) {
  const Tensor& first = jobs.front()->request.inputs[input];
  if (jobs.size() == 1 && IsAligned(first)) return first;
  Shape shape = first.shape();
  if (jobs.size() > 1) {
    shape[0] = 0;
    for (const auto& job : jobs) shape[0] += job->request.inputs[input].shape()[0];
  }
  if (first.dtype() == DType::kBytes) return StackStrings(jobs, input, std::move(shape));
  std::byte* fill = nullptr;
  Tensor stacked = Tensor::Allocate(first.dtype(), std::move(shape), &fill);
  for (const auto& job : jobs) {
    const Tensor& part = job->request.inputs[input];
    // An empty tensor may have no memory, and memcpy wants some even for 0 bytes.
    if (part.byte_size() > 0) std::memcpy(fill, part.data(), part.byte_size());
    fill += part.byte_size();
  }
  return stacked;
}

}  // namespace

BatchKey KeyOf(const InferenceRequest& request, const Signature& signature) {
  BatchKey key;
  if (!signature.batched) return key;
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    const Shape& spec = signature.inputs[i].shape;
    for (size_t d = 1; d < spec.size(); ++d) {
      if (spec[d] == -1) key.push_back(request.inputs[i].shape()[d]);
    }
  }
  return key;
}

std::vector<Tensor> StackInputs(absl::Span<const std::shared_ptr<Job>> jobs) {
  std::vector<Tensor> inputs;
  inputs.reserve(jobs.front()->request.inputs.size());
  for (size_t i = 0; i < jobs.front()->request.inputs.size(); ++i) inputs.push_back(StackInput(jobs, i));
  return inputs;
}

std::vector<Tensor> SliceRows(absl::Span<const Tensor> tensors, int64_t first, int64_t rows) {
  std::vector<Tensor> slices;
  slices.reserve(tensors.size());
  for (const Tensor& tensor : tensors) slices.push_back(tensor.Rows(first, rows));
  return slices;
}

}  // namespace predictd
