// The index of the largest value of each row: the class that a classifier chose.
#ifndef PREDICTD_CLIENT_PREDICTCTL_ARG_MAX_H_
#define PREDICTD_CLIENT_PREDICTCTL_ARG_MAX_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// Returns one index for each extent of the first dimension, counted over the other dimensions as if they were one; for
// a tensor with one dimension, a single index. As in NumPy, the first of equal values wins, and NaN counts as the
// largest. INVALID_ARGUMENT for scalars, BYTES, rows without elements, and a tensor that is not raw and well formed.
absl::StatusOr<std::vector<std::int64_t>> ArgMaxOfRows(const v1::Tensor& tensor);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_ARG_MAX_H_
