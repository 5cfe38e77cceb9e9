// Extents of tensors.
#ifndef PREDICTD_CLIENT_SHAPE_H_
#define PREDICTD_CLIENT_SHAPE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace predictd {
inline namespace client {

// The product of the extents; 1 for a scalar. INVALID_ARGUMENT for a negative extent or more than 2^63-1 elements.
absl::StatusOr<std::int64_t> ElementCount(absl::Span<const std::int64_t> shape);

// ElementCount x width, with the same errors.
absl::StatusOr<std::int64_t> ByteCount(absl::Span<const std::int64_t> shape, std::int64_t width);

// "[2,1,8,8]".
std::string ShapeText(absl::Span<const std::int64_t> shape);

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_SHAPE_H_
