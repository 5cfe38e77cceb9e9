#include "server/model/signature.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// The most elements that an empty tensor would have if its extents of 0 were 1: a model may build tensors of that size
// from it.
constexpr int64_t kMaxEmptyElements = int64_t{1} << 31;

absl::StatusOr<Shape> DeduceShape(const TensorSpec& spec, int64_t elements) {
  Shape shape = spec.shape;
  const auto open = std::count(shape.begin(), shape.end(), -1);
  if (open > 1) {
    return absl::InvalidArgumentError(absl::StrCat("expected a shape like ", ShapeName(spec.shape),
                                                   ", got none, and it leaves ", open, " dimensions open"));
  }
  int64_t known = 1;
  for (int64_t extent : shape) known *= extent == -1 ? 1 : extent;
  if (open == 1) {
    if (known == 0 || elements % known != 0) {
      return absl::InvalidArgumentError(absl::StrCat("expected a multiple of ", known, " elements for shape ",
                                                     ShapeName(spec.shape), ", got ", elements));
    }
    if (elements == 0 && !spec.allow_empty) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected at least ", known, " elements for shape ", ShapeName(spec.shape), ", got none"));
    }
    *std::find(shape.begin(), shape.end(), -1) = elements / known;
  } else if (known != elements) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", known, " elements for shape ", ShapeName(spec.shape), ", got ", elements));
  }
  return shape;
}

// `least` is the least extent of open dimensions.
bool Fits(const Shape& spec, absl::Span<const int64_t> shape, int64_t least) {
  return std::equal(spec.begin(), spec.end(), shape.begin(), shape.end(),
                    [least](int64_t want, int64_t got) { return want == -1 ? got >= least : want == got; });
}

bool IsModestlyEmpty(absl::Span<const int64_t> given) {
  Shape shape(given.begin(), given.end());
  std::replace(shape.begin(), shape.end(), int64_t{0}, int64_t{1});
  return ElementCount(shape).value_or(kMaxEmptyElements + 1) <= kMaxEmptyElements;
}

}  // namespace

absl::StatusOr<Shape> ResolveShape(const TensorSpec& spec, absl::Span<const int64_t> given, int64_t elements) {
  if (given.empty() && !spec.shape.empty()) return DeduceShape(spec, elements);
  if (!Fits(spec.shape, given, spec.allow_empty ? 0 : 1)) {
    const bool empty = Fits(spec.shape, given, 0);
    return absl::InvalidArgumentError(absl::StrCat("expected shape ", ShapeName(spec.shape),
                                                   empty ? " with extents of at least 1" : "", ", got ",
                                                   ShapeName(given)));
  }
  const std::optional<int64_t> count = ElementCount(given);
  if (!count.has_value() || *count != elements) {
    return absl::InvalidArgumentError(absl::StrCat("expected ", count.has_value() ? absl::StrCat(*count) : "too many",
                                                   " elements for shape ", ShapeName(given), ", got ", elements));
  }
  if (elements == 0 && !IsModestlyEmpty(given)) {
    return absl::InvalidArgumentError(absl::StrCat("expected extents whose product is at most ", kMaxEmptyElements,
                                                   " but for those of 0, got ", ShapeName(given)));
  }
  return Shape(given.begin(), given.end());
}

absl::Status CheckOutputs(const Signature& signature, int64_t rows, absl::Span<const Tensor> inputs,
                          absl::Span<const Tensor> outputs) {
  if (outputs.size() != signature.outputs.size()) {
    return absl::InternalError(
        absl::StrCat("the model returned ", outputs.size(), " outputs, its signature has ", signature.outputs.size()));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorSpec& spec = signature.outputs[i];
    if (!outputs[i].present()) {
      if (spec.optional) continue;
      return absl::InternalError(absl::StrCat("output ", spec.name, " is not there"));
    }
    if (outputs[i].dtype() != spec.dtype || !Fits(spec.shape, outputs[i].shape(), /*least=*/0)) {
      return absl::InternalError(absl::StrCat("output ", spec.name, " is ", DTypeName(outputs[i].dtype()),
                                              ShapeName(outputs[i].shape()), ", its signature says ",
                                              DTypeName(spec.dtype), ShapeName(spec.shape)));
    }
    if (signature.batched && outputs[i].shape()[0] != rows) {
      return absl::InternalError(
          absl::StrCat("output ", spec.name, " has ", outputs[i].shape()[0], " rows for an input of ", rows));
    }
  }
  for (const PaddedOutput& padded : signature.padding.outputs) {
    if (!outputs[padded.output].present()) continue;
    const PaddedLength& length = signature.padding.lengths[padded.length];
    const int64_t wanted = length.BucketFor(RequestLength(length, inputs));
    const int64_t got = outputs[padded.output].shape()[padded.dimension];
    if (got == wanted) continue;
    return absl::InternalError(absl::StrCat("output ", signature.outputs[padded.output].name, " has ", got,
                                            " in dimension ", padded.dimension, ", where ", length.name,
                                            " was padded to ", wanted));
  }
  return absl::OkStatus();
}

}  // namespace predictd
