#include "client/predictctl/row_collector.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// Appends the rows of `part`; false if its name, type or row shape is different.
bool Append(const v1::Tensor& part, v1::Tensor& whole) {
  const bool alike = part.name() == whole.name() && part.dtype() == whole.dtype() && part.shape_size() > 0 &&
                     part.shape_size() == whole.shape_size() &&
                     std::equal(part.shape().begin() + 1, part.shape().end(), whole.shape().begin() + 1);
  if (!alike) return false;
  whole.set_shape(0, whole.shape(0) + part.shape(0));
  whole.mutable_raw()->append(part.raw());
  return true;
}

}  // namespace

void RowCollector::Add(v1::RowsResult result) {
  const std::int64_t first_row = result.first_row();
  results_.insert_or_assign(first_row, std::move(result));
}

absl::StatusOr<std::vector<v1::Tensor>> RowCollector::Assemble(std::int64_t total_rows) const {
  std::int64_t rows = 0;
  for (const auto& [first_row, result] : results_) rows += result.row_count();
  if (rows != total_rows) {
    return absl::DataLossError(absl::StrCat("outputs came for ", rows, " of ", total_rows, " rows"));
  }
  std::vector<v1::Tensor> outputs;
  for (const auto& [first_row, result] : results_) {
    if (outputs.empty()) {
      outputs.assign(result.outputs().begin(), result.outputs().end());
      continue;
    }
    bool fits = outputs.size() == static_cast<std::size_t>(result.outputs_size());
    for (int i = 0; fits && i < result.outputs_size(); ++i) fits = Append(result.outputs(i), outputs[i]);
    if (!fits) return absl::InternalError(absl::StrCat("the outputs of row ", first_row, " differ from those before"));
  }
  return outputs;
}

}  // namespace predictd
