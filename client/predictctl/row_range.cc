#include "client/predictctl/row_range.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/tensor_encoding.h"

namespace predictd {
namespace {

bool ReadRow(absl::string_view text, std::int64_t& row) {
  return absl::SimpleAtoi(text, &row) && row >= 0;
}

}  // namespace

absl::StatusOr<RowRange> ParseRowRange(absl::string_view text) {
  const std::vector<absl::string_view> ends = absl::StrSplit(text, ':');
  RowRange range;
  std::int64_t end = 0;
  bool good = ends.size() == 2 && (ends[0].empty() || ReadRow(ends[0], range.first));
  if (good && !ends[1].empty()) {
    good = ReadRow(ends[1], end) && end >= range.first;
    range.end = end;
  }
  if (!good)
    return absl::InvalidArgumentError(absl::StrCat("expected rows as FIRST:END, as in 0:16, got '", text, "'"));
  return range;
}

absl::StatusOr<v1::Tensor> RowsOf(const RowRange& range, const v1::Tensor& tensor) {
  if (tensor.shape().empty()) return absl::InvalidArgumentError("a scalar has no rows to choose from");
  const std::int64_t rows = tensor.shape(0);
  const std::int64_t end = range.end.value_or(rows);
  if (range.first > rows || end > rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("rows ", range.first, ":", end, " were asked for, but there are ", rows));
  }
  v1::Tensor part;
  part.set_name(tensor.name());
  part.set_dtype(tensor.dtype());
  *part.mutable_shape() = tensor.shape();
  part.set_shape(0, end - range.first);
  if (rows == 0) return part;
  if (tensor.dtype() != v1::DATA_TYPE_BYTES) {
    const std::size_t row_bytes = tensor.raw().size() / static_cast<std::size_t>(rows);
    part.set_raw(tensor.raw().substr(static_cast<std::size_t>(range.first) * row_bytes,
                                     static_cast<std::size_t>(end - range.first) * row_bytes));
    return part;
  }
  const absl::StatusOr<std::vector<absl::string_view>> elements = SplitBytesElements(tensor.raw());
  if (!elements.ok()) return elements.status();
  const std::size_t row_elements = elements->size() / static_cast<std::size_t>(rows);
  std::string kept;
  for (std::size_t i = static_cast<std::size_t>(range.first) * row_elements;
       i < static_cast<std::size_t>(end) * row_elements; ++i) {
    AppendBytesElement((*elements)[i], kept);
  }
  part.set_raw(std::move(kept));
  return part;
}

}  // namespace predictd
