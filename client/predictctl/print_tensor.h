// Tensors for people, in the manner of NumPy.
#ifndef PREDICTD_CLIENT_PREDICTCTL_PRINT_TENSOR_H_
#define PREDICTD_CLIENT_PREDICTCTL_PRINT_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

struct PrintStyle {
  // Tensors with more elements show only the ends of each dimension, and strings with more bytes only their beginning.
  std::int64_t abbreviate_above = 200;
  // How many elements to show at each end.
  std::int64_t edge = 3;
  // Longer lines are broken.
  std::size_t line_width = 120;
};

// Whether the style shows only the ends of some dimension of a tensor with that shape.
bool IsAbbreviated(absl::Span<const std::int64_t> shape, const PrintStyle& style);

// "[[1, 2],\n [3, 4]]", without a newline at the end, with aligned columns. If `marks` is not empty, it holds one value
// for each row of a tensor of two dimensions, which is written after the row as " -> 7". INVALID_ARGUMENT for a tensor
// that is not raw and well formed, or has more dimensions than any tensor of NumPy.
absl::StatusOr<std::string> TensorText(const v1::Tensor& tensor, const PrintStyle& style,
                                       const std::vector<std::int64_t>& marks);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_PRINT_TENSOR_H_
