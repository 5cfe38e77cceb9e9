// Tensors for people, in the manner of NumPy.
#ifndef PREDICTD_CLIENT_PREDICTCTL_PRINT_TENSOR_H_
#define PREDICTD_CLIENT_PREDICTCTL_PRINT_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

struct PrintStyle {
  // Tensors with more elements show only the ends of each dimension.
  std::int64_t abbreviate_above = 1000;
  // How many at each end.
  std::int64_t edge = 3;
  // Longer lines are broken.
  std::size_t line_width = 120;
};

// "[[1, 2],\n [3, 4]]", without a newline at the end, columns aligned. If `marks` is not empty it holds one value per
// row of a tensor of two dimensions, which is written behind the row as " -> 7". A tensor that is not raw and well
// formed: INVALID_ARGUMENT.
absl::StatusOr<std::string> TensorText(const v1::Tensor& tensor, const PrintStyle& style,
                                       const std::vector<std::int64_t>& marks);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_PRINT_TENSOR_H_
