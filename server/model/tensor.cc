#include "server/model/tensor.h"

#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace predictd {

std::string ShapeName(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

std::optional<int64_t> ElementCount(absl::Span<const int64_t> shape) {
  int64_t count = 1;
  bool overflow = false;
  bool empty = false;
  for (int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (extent == 0) empty = true;
    // An overflow does not matter if another extent is 0, in whatever order they come.
    if (!overflow && __builtin_mul_overflow(count, extent, &count)) overflow = true;
  }
  if (empty) return 0;
  if (overflow) return std::nullopt;
  return count;
}

Tensor::Tensor(DType dtype, Shape shape, const void* data, std::shared_ptr<const void> owner)
    : dtype_(dtype),
      shape_(std::move(shape)),
      elements_(ElementCount(shape_).value_or(0)),
      data_(static_cast<const std::byte*>(data)),
      owner_(std::move(owner)) {}

Tensor::Tensor(Shape shape, std::shared_ptr<const std::vector<std::string>> strings)
    : dtype_(DType::kBytes),
      shape_(std::move(shape)),
      elements_(ElementCount(shape_).value_or(0)),
      strings_(*strings),
      owner_(std::move(strings)) {}

Tensor Tensor::Allocate(DType dtype, Shape shape, std::byte** fill) {
  const size_t bytes = static_cast<size_t>(ElementCount(shape).value_or(0)) * ByteWidth(dtype);
  auto* memory = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{kAlignment}));
  *fill = memory;
  std::shared_ptr<const void> owner(memory, [](void* p) { ::operator delete(p, std::align_val_t{kAlignment}); });
  return Tensor(dtype, std::move(shape), memory, std::move(owner));
}

Tensor Tensor::Absent(DType dtype) {
  Tensor absent(dtype, {0}, nullptr, nullptr);
  absent.shape_.clear();
  absent.present_ = false;
  return absent;
}

Tensor Tensor::Rows(int64_t first, int64_t count) const {
  Tensor rows = *this;
  if (!present_) return rows;
  const int64_t per_row = shape_[0] == 0 ? 0 : elements_ / shape_[0];
  rows.shape_[0] = count;
  rows.elements_ = per_row * count;
  if (dtype_ == DType::kBytes) {
    rows.strings_ = strings_.subspan(first * per_row, rows.elements_);
  } else {
    rows.data_ = data_ + first * per_row * static_cast<int64_t>(ByteWidth(dtype_));
  }
  return rows;
}

}  // namespace predictd
