#ifndef PREDICTD_SERVER_MODEL_SIGNATURE_H_
#define PREDICTD_SERVER_MODEL_SIGNATURE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/model/padding.h"
#include "server/model/tensor.h"
#include "server/model/value_range.h"

namespace predictd {

// Name, type and shape of one input or output; -1 in the shape is any extent.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kFp32;
  Shape shape;
  // Of an input: whether open dimensions may be 0, which costs a caller nothing however large the others are.
  bool allow_empty = false;
  // Of an input: what its elements must be.
  std::optional<ValueRange> range = {};
};

// What a model takes and gives. If batched, the first dimension of every input and output counts independent rows.
struct Signature {
  // What callers send: the model's arguments but for the masks that padding adds.
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  bool batched = true;
  int64_t max_batch_size = 64;
  // Of batched models only.
  Padding padding = {};

  size_t arguments() const { return inputs.size() + padding.masks.size(); }
};

// The shape of an input of `elements` elements, given what the caller said of it. `given` must agree with the spec in
// rank and extents, of which open ones are at least 1 unless the spec allows 0; if it is empty it is deduced where the
// spec leaves at most one dimension open.
// INVALID_ARGUMENT says what was expected and what came.
absl::StatusOr<Shape> ResolveShape(const TensorSpec& spec, absl::Span<const int64_t> given, int64_t elements);

// Whether what a model returned keeps its promise; INTERNAL says which output does not and how. `inputs` are those of
// any request of the batch: all are padded to the same lengths.
absl::Status CheckOutputs(const Signature& signature, int64_t rows, absl::Span<const Tensor> inputs,
                          absl::Span<const Tensor> outputs);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_SIGNATURE_H_
