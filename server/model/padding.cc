#include "server/model/padding.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// A tensor seen as blocks of memory, each of which begins with `length` elements to keep along a dimension.
struct Blocks {
  Blocks(const Tensor& tensor, size_t dimension) {
    const absl::Span<const int64_t> shape = tensor.shape();
    // If an extent is 0, so is `count` or `step`, and nothing is copied.
    count = ElementCount(shape.first(dimension)).value_or(0);
    step = static_cast<size_t>(ElementCount(shape.subspan(dimension + 1)).value_or(0)) * ByteWidth(tensor.dtype());
  }

  int64_t count = 0;
  // Bytes per index of the dimension.
  size_t step = 0;
};

std::byte* FillElements(size_t bytes, size_t width, const ElementBytes& element, std::byte* to) {
  for (size_t i = 0; i < bytes; i += width) std::memcpy(to + i, element.data(), width);
  return to + bytes;
}

// An empty tensor may have no memory, and memcpy needs a valid pointer even for 0 bytes.
std::byte* Copy(const std::byte* from, size_t bytes, std::byte* to) {
  if (bytes > 0) std::memcpy(to, from, bytes);
  return to + bytes;
}

Tensor Cut(const Tensor& tensor, size_t dimension, int64_t extent) {
  Shape shape = tensor.shape();
  const Blocks blocks(tensor, dimension);
  const size_t from_step = static_cast<size_t>(shape[dimension]) * blocks.step;
  shape[dimension] = extent;
  if (blocks.count == 1) {
    return Tensor(tensor.dtype(), std::move(shape), tensor.data(), std::make_shared<const Tensor>(tensor));
  }
  std::byte* fill = nullptr;
  Tensor cut = Tensor::Allocate(tensor.dtype(), std::move(shape), &fill);
  const std::byte* from = tensor.data();
  for (int64_t i = 0; i < blocks.count; ++i, from += from_step) {
    fill = Copy(from, static_cast<size_t>(extent) * blocks.step, fill);
  }
  return cut;
}

}  // namespace

int64_t PaddedLength::BucketFor(int64_t extent) const {
  const auto bucket = std::lower_bound(buckets.begin(), buckets.end(), extent);
  return bucket == buckets.end() ? extent : *bucket;
}

const PaddedInput* Padding::Find(size_t input) const {
  const auto found =
      std::find_if(inputs.begin(), inputs.end(), [input](const PaddedInput& padded) { return padded.input == input; });
  return found == inputs.end() ? nullptr : &*found;
}

int64_t RequestLength(const PaddedLength& length, absl::Span<const Tensor> inputs) {
  return inputs[length.input].shape()[length.dimension];
}

std::vector<LengthError> CheckLengths(const Padding& padding, absl::Span<const Tensor> inputs) {
  std::vector<LengthError> errors;
  for (const PaddedInput& padded : padding.inputs) {
    if (!inputs[padded.input].present()) continue;
    const PaddedLength& length = padding.lengths[padded.length];
    const int64_t wanted = RequestLength(length, inputs);
    const int64_t got = inputs[padded.input].shape()[padded.dimension];
    if (got > length.buckets.back()) {
      errors.push_back({padded.input, absl::StrCat("expected at most ", length.buckets.back(), " in dimension ",
                                                   padded.dimension, ", got ", got)});
    } else if (got != wanted) {
      errors.push_back({padded.input, absl::StrCat("expected ", wanted, " in dimension ", padded.dimension, " as in ",
                                                   length.name, ", got ", got)});
    }
  }
  return errors;
}

std::byte* CopyPadded(const Tensor& tensor, size_t dimension, int64_t extent, const ElementBytes& element,
                      std::byte* to) {
  const Blocks blocks(tensor, dimension);
  const int64_t length = tensor.shape()[dimension];
  const size_t given = static_cast<size_t>(length) * blocks.step;
  const std::byte* from = tensor.data();
  for (int64_t i = 0; i < blocks.count; ++i, from += given) {
    to = Copy(from, given, to);
    to = FillElements(static_cast<size_t>(extent - length) * blocks.step, ByteWidth(tensor.dtype()), element, to);
  }
  return to;
}

std::byte* FillMask(DType dtype, int64_t rows, int64_t length, int64_t extent, std::byte* to) {
  const size_t width = ByteWidth(dtype);
  const ElementBytes one = ToElement(dtype, int64_t{1}).value_or(ElementBytes{});
  for (int64_t row = 0; row < rows; ++row) {
    to = FillElements(static_cast<size_t>(length) * width, width, one, to);
    // In every type zero is represented by zero bits.
    const size_t rest = static_cast<size_t>(extent - length) * width;
    to = std::fill_n(to, rest, std::byte{0});
  }
  return to;
}

std::vector<Tensor> CutOutputs(const Padding& padding, absl::Span<const Tensor> inputs, std::vector<Tensor> outputs) {
  for (const PaddedOutput& padded : padding.outputs) {
    Tensor& output = outputs[padded.output];
    if (!output.present()) continue;
    const int64_t extent = RequestLength(padding.lengths[padded.length], inputs);
    if (output.shape()[padded.dimension] != extent) output = Cut(output, padded.dimension, extent);
  }
  return outputs;
}

}  // namespace predictd
