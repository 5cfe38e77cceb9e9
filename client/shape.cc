#include "client/shape.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace predictd {
inline namespace client {

absl::StatusOr<std::int64_t> ElementCount(absl::Span<const std::int64_t> shape) {
  return ByteCount(shape, 1);
}

absl::StatusOr<std::int64_t> ByteCount(absl::Span<const std::int64_t> shape, std::int64_t width) {
  std::int64_t product = width;
  bool empty = false;
  bool overflow = false;
  for (const std::int64_t extent : shape) {
    if (extent < 0) {
      return absl::InvalidArgumentError(absl::StrCat("shape ", ShapeText(shape), " has a negative extent"));
    }
    if (extent == 0) {
      empty = true;
    } else {
      overflow |= __builtin_mul_overflow(product, extent, &product);
    }
  }
  if (empty) return 0;
  if (overflow) return absl::InvalidArgumentError(absl::StrCat("shape ", ShapeText(shape), " has too many elements"));
  return product;
}

std::string ShapeText(absl::Span<const std::int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

}  // namespace client
}  // namespace predictd
