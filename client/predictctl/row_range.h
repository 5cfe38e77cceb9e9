// A part of a tensor's rows.
#ifndef PREDICTD_CLIENT_PREDICTCTL_ROW_RANGE_H_
#define PREDICTD_CLIENT_PREDICTCTL_ROW_RANGE_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// The rows [first, end); without an end, all from the first one.
struct RowRange {
  std::int64_t first = 0;
  std::optional<std::int64_t> end = std::nullopt;

  bool operator==(const RowRange&) const = default;
};

// Reads "A:B", "A:" or ":B", counted from 0. Anything else, and B below A: INVALID_ARGUMENT.
absl::StatusOr<RowRange> ParseRowRange(absl::string_view text);

// Keeps these rows of a well-formed raw tensor. Rows that it does not have, or a scalar: INVALID_ARGUMENT.
absl::Status SliceRows(const RowRange& range, v1::Tensor& tensor);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_ROW_RANGE_H_
