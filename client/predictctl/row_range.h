// A part of a tensor's rows.
#ifndef PREDICTD_CLIENT_PREDICTCTL_ROW_RANGE_H_
#define PREDICTD_CLIENT_PREDICTCTL_ROW_RANGE_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// The rows [first, end); without an end, all rows from `first` on.
struct RowRange {
  std::int64_t first = 0;
  std::optional<std::int64_t> end = std::nullopt;

  bool operator==(const RowRange&) const = default;
};

// Reads "A:B", "A:" or ":B", counted from 0. INVALID_ARGUMENT for anything else, and if B is below A.
absl::StatusOr<RowRange> ParseRowRange(absl::string_view text);

// A copy of these rows of a well-formed raw tensor. INVALID_ARGUMENT for rows that it does not have, and for a scalar.
absl::StatusOr<v1::Tensor> RowsOf(const RowRange& range, const v1::Tensor& tensor);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_ROW_RANGE_H_
