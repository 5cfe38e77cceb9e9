#include "server/engine/batch.h"

#include <cstring>
#include <utility>

namespace predictd {
namespace {

using Jobs = absl::Span<const std::shared_ptr<Job>>;

// Bytes in a received message have any alignment; compiled models load 16 of them at a time.
constexpr uintptr_t kInputAlignment = 16;

bool IsAligned(const Tensor& tensor) {
  return tensor.dtype() == DType::kBytes || reinterpret_cast<uintptr_t>(tensor.data()) % kInputAlignment == 0;
}

int64_t BucketOf(const PaddedLength& length, const InferenceRequest& request) {
  return length.BucketFor(RequestLength(length, request.inputs));
}

Tensor StackStrings(Jobs jobs, size_t input, Shape shape) {
  auto strings = std::make_shared<std::vector<std::string>>();
  for (const auto& job : jobs) {
    const absl::Span<const std::string> part = job->request.inputs[input].strings();
    strings->insert(strings->end(), part.begin(), part.end());
  }
  return Tensor(std::move(shape), std::move(strings));
}

Tensor StackInput(Jobs jobs, size_t input, const Padding& padding, BatchBuffers& buffers) {
  const Tensor& first = jobs.front()->request.inputs[input];
  if (!first.present()) return first;
  const PaddedInput* padded = padding.Find(input);
  Shape shape = first.shape();
  if (padded != nullptr) {
    shape[padded->dimension] = BucketOf(padding.lengths[padded->length], jobs.front()->request);
  }
  if (jobs.size() == 1 && shape == first.shape() && IsAligned(first)) return first;
  if (jobs.size() > 1) {
    shape[0] = 0;
    for (const auto& job : jobs) shape[0] += job->request.inputs[input].shape()[0];
  }
  if (first.dtype() == DType::kBytes) return StackStrings(jobs, input, std::move(shape));
  std::byte* fill = nullptr;
  Tensor stacked = buffers.Allocate(first.dtype(), std::move(shape), &fill);
  for (const auto& job : jobs) {
    const Tensor& part = job->request.inputs[input];
    if (padded != nullptr) {
      fill = CopyPadded(part, padded->dimension, stacked.shape()[padded->dimension], padded->element, fill);
      continue;
    }
    // An empty tensor may have no memory, and memcpy needs a valid pointer even for 0 bytes.
    if (part.byte_size() > 0) std::memcpy(fill, part.data(), part.byte_size());
    fill += part.byte_size();
  }
  return stacked;
}

Tensor MakeMask(Jobs jobs, const PaddingMask& mask, const PaddedLength& length, BatchBuffers& buffers) {
  const int64_t bucket = BucketOf(length, jobs.front()->request);
  Shape shape = {0, bucket};
  for (const auto& job : jobs) shape[0] += job->request.rows;
  std::byte* fill = nullptr;
  Tensor made = buffers.Allocate(mask.dtype, std::move(shape), &fill);
  for (const auto& job : jobs) {
    const InferenceRequest& request = job->request;
    fill = FillMask(mask.dtype, request.rows, RequestLength(length, request.inputs), bucket, fill);
  }
  return made;
}

}  // namespace

BatchKey KeyOf(const InferenceRequest& request, const Signature& signature) {
  BatchKey key;
  if (!signature.batched) return key;
  const Padding& padding = signature.padding;
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    const Shape& spec = signature.inputs[i].shape;
    if (signature.inputs[i].optional) {
      key.push_back(request.inputs[i].present() ? 1 : 0);
      if (!request.inputs[i].present()) continue;
    }
    const PaddedInput* padded = padding.Find(i);
    for (size_t d = 1; d < spec.size(); ++d) {
      if (spec[d] != -1) continue;
      const int64_t extent = request.inputs[i].shape()[d];
      key.push_back(padded == nullptr ? extent : padding.lengths[padded->length].BucketFor(extent));
    }
  }
  return key;
}

std::vector<Tensor> StackInputs(Jobs jobs, const Padding& padding, BatchBuffers& buffers) {
  const size_t inputs = jobs.front()->request.inputs.size();
  std::vector<Tensor> arguments;
  arguments.reserve(inputs + padding.masks.size());
  for (size_t i = 0; i < inputs; ++i) arguments.push_back(StackInput(jobs, i, padding, buffers));
  for (const PaddingMask& mask : padding.masks) {
    arguments.insert(arguments.begin() + static_cast<ptrdiff_t>(mask.argument),
                     MakeMask(jobs, mask, padding.lengths[mask.length], buffers));
  }
  return arguments;
}

std::vector<Tensor> SliceRows(absl::Span<const Tensor> tensors, int64_t first, int64_t rows) {
  std::vector<Tensor> slices;
  slices.reserve(tensors.size());
  for (const Tensor& tensor : tensors) slices.push_back(tensor.Rows(first, rows));
  return slices;
}

}  // namespace predictd
