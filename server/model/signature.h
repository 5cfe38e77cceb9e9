#ifndef PREDICTD_SERVER_MODEL_SIGNATURE_H_
#define PREDICTD_SERVER_MODEL_SIGNATURE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/model/input_limits.h"
#include "server/model/padding.h"
#include "server/model/tensor.h"
#include "server/model/value_range.h"

namespace predictd {

// What the warm-up feeds to an input where zeros and extents of 1 would not do. Empty members were not given.
struct WarmUpInput {
  // The spec's shape with extents for its open dimensions; the rows and the padded one stay open.
  Shape shape = {};
  // The values that the input's elements repeat; `strings` holds them for BYTES.
  std::vector<ElementBytes> elements = {};
  std::vector<std::string> strings = {};
  // The range that the input's elements are drawn from.
  std::optional<ValueRange> random = {};
  // An array whose rows the input repeats, and what is along its padded dimension, too.
  std::optional<Tensor> array = {};
};

// One for each input of a signature.
using WarmUpSample = std::vector<WarmUpInput>;

// Name, type and shape of one input or output; -1 in the shape means any extent.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kFp32;
  Shape shape;
  // For an input: whether open dimensions may be 0. An empty input costs a caller nothing however large the other
  // extents are.
  bool allow_empty = false;
  // For an input: the values that its elements may have.
  std::optional<ValueRange> range = {};
  // Whether callers may leave the input out, or the model the output.
  bool optional = false;
  // For an input: what the warm-up feeds to it, where no sample does.
  WarmUpInput warmup = {};
};

// The inputs and outputs of a model. If it is batched, the first dimension of every input and output counts independent
// rows.
struct Signature {
  // What callers send: the model's arguments except for the masks that padding adds.
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  bool batched = true;
  int64_t max_batch_size = 64;
  // For batched models only.
  Padding padding = {};
  // The limits that the model itself adds when it is loaded.
  InputLimits limits = {};
  // What the warm-up runs on, one after the other. If there are none, it runs on what the inputs say.
  std::vector<WarmUpSample> warmup_samples = {};

  size_t arguments() const { return inputs.size() + padding.masks.size(); }
};

// The shape of an input with `elements` elements, given the shape that the caller sent. `given` must agree with the
// spec in rank and extents, and open extents must be at least 1 unless the spec allows 0. An empty `given` is deduced
// if the spec leaves at most one dimension open. INVALID_ARGUMENT says what was expected and what came.
absl::StatusOr<Shape> ResolveShape(const TensorSpec& spec, absl::Span<const int64_t> given, int64_t elements);

// Whether what a model returned agrees with the signature; INTERNAL says which output does not, and how. `inputs` are
// those of any request of the batch, as all are padded to the same lengths.
absl::Status CheckOutputs(const Signature& signature, int64_t rows, absl::Span<const Tensor> inputs,
                          absl::Span<const Tensor> outputs);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_SIGNATURE_H_
