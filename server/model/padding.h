#ifndef PREDICTD_SERVER_MODEL_PADDING_H_
#define PREDICTD_SERVER_MODEL_PADDING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "server/model/element.h"
#include "server/model/tensor.h"

namespace predictd {

// A length that each request chooses and that is padded to a bucket, so that requests of different lengths can share a
// batch: the open dimension of one input, and of everything else that has the same length.
struct PaddedLength {
  // The index in the signature, and the name, of the input whose open dimension it is.
  size_t input = 0;
  std::string name;
  size_t dimension = 0;
  // In ascending order.
  std::vector<int64_t> buckets;

  // The smallest bucket that holds `extent`; an extent beyond the last bucket is its own bucket.
  int64_t BucketFor(int64_t extent) const;
};

// An input that is padded with `element` along a dimension.
struct PaddedInput {
  size_t input = 0;
  size_t dimension = 0;
  size_t length = 0;
  ElementBytes element{};
};

// An argument of the model that callers do not send: its shape is [rows, bucket], and it holds 1 for what a request
// sent and 0 for padding.
struct PaddingMask {
  // Its position among all arguments.
  size_t argument = 0;
  size_t length = 0;
  DType dtype = DType::kBool;
  // Its name in model.toml.
  std::string name = {};
};

// An output that is cut back to the request's own length.
struct PaddedOutput {
  size_t output = 0;
  size_t dimension = 0;
  size_t length = 0;
};

// What model.toml says about padding; empty for most models. Each `length` above is an index in `lengths`.
struct Padding {
  std::vector<PaddedLength> lengths;
  std::vector<PaddedInput> inputs;
  // In the order of their arguments.
  std::vector<PaddingMask> masks;
  std::vector<PaddedOutput> outputs;

  // The padding of that input; nullptr if it is not padded.
  const PaddedInput* Find(size_t input) const;
};

// The request's own length: the extent of the input that the length belongs to.
int64_t RequestLength(const PaddedLength& length, absl::Span<const Tensor> inputs);

// An error in a request's lengths: the input, and what was expected of it.
struct LengthError {
  size_t input;
  std::string message;
};
// Empty if every length has a bucket and all inputs that share one agree. The inputs must agree with the signature.
std::vector<LengthError> CheckLengths(const Padding& padding, absl::Span<const Tensor> inputs);

// Writes `tensor` to `to`, padded with `element` to `extent` in that dimension, and returns the end of what it wrote.
// Not for BYTES.
std::byte* CopyPadded(const Tensor& tensor, size_t dimension, int64_t extent, const ElementBytes& element,
                      std::byte* to);

// Writes `rows` rows of a mask, each with `length` ones and zeros up to `extent`, and returns the end of what it wrote.
std::byte* FillMask(DType dtype, int64_t rows, int64_t length, int64_t extent, std::byte* to);

// The outputs of the request with these `inputs`, with the padding cut off. A tensor is copied only if what remains is
// not contiguous.
std::vector<Tensor> CutOutputs(const Padding& padding, absl::Span<const Tensor> inputs, std::vector<Tensor> outputs);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_PADDING_H_
