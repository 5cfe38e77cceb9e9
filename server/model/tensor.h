#ifndef PREDICTD_SERVER_MODEL_TENSOR_H_
#define PREDICTD_SERVER_MODEL_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "server/model/dtype.h"

namespace predictd {

using Shape = absl::InlinedVector<int64_t, 4>;

// Formats a shape: "[-1,10]".
std::string ShapeName(absl::Span<const int64_t> shape);

// The product of the extents; nullopt if one is negative or the product does not fit.
std::optional<int64_t> ElementCount(absl::Span<const int64_t> shape);

// An immutable dense tensor in C order. It is a view of memory that a shared owner keeps alive, so that copies and
// slices of rows are cheap. Thread-safe like any const object.
class Tensor {
 public:
  // The alignment of heap-backed tensors and of Allocate's: a cache line, which is more than any vector load needs.
  static constexpr size_t kAlignment = 64;

  // Views `data`, which `owner` keeps alive. `data` holds ElementCount(shape) x ByteWidth(dtype) bytes; not for BYTES.
  Tensor(DType dtype, Shape shape, const void* data, std::shared_ptr<const void> owner);

  // A BYTES tensor of ElementCount(shape) strings.
  Tensor(Shape shape, std::shared_ptr<const std::vector<std::string>> strings);

  // A new aligned tensor, whose memory may be written through `fill` until the tensor is shared. Not for BYTES; the
  // shape must be valid.
  static Tensor Allocate(DType dtype, Shape shape, std::byte** fill);

  // Stands for a missing optional tensor: it has no shape and no elements.
  static Tensor Absent(DType dtype);

  bool present() const { return present_; }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t elements() const { return elements_; }
  // Numeric types only.
  const std::byte* data() const { return data_; }
  size_t byte_size() const { return static_cast<size_t>(elements_) * ByteWidth(dtype_); }
  // BYTES only.
  absl::Span<const std::string> strings() const { return strings_; }

  // The rows [first, first + count) of the first dimension, sharing the memory.
  Tensor Rows(int64_t first, int64_t count) const;

 private:
  DType dtype_;
  bool present_ = true;
  Shape shape_;
  int64_t elements_;
  const std::byte* data_ = nullptr;
  absl::Span<const std::string> strings_;
  std::shared_ptr<const void> owner_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TENSOR_H_
