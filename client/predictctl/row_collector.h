// Puts the results of a stream together again.
#ifndef PREDICTD_CLIENT_PREDICTCTL_ROW_COLLECTOR_H_
#define PREDICTD_CLIENT_PREDICTCTL_ROW_COLLECTOR_H_

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "predictd/v1/prediction_service.pb.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// Keeps the outputs of ranges of rows, which may come in any order.
class RowCollector {
 public:
  // A result without an error, whose outputs are raw and well formed.
  void Add(v1::RowsResult result);

  // The outputs of all rows [0, total_rows), raw. Rows that are missing: DATA_LOSS that says how many. Results whose
  // outputs do not fit together: INTERNAL.
  absl::StatusOr<std::vector<v1::Tensor>> Assemble(std::int64_t total_rows) const;

 private:
  std::map<std::int64_t, v1::RowsResult> results_;  // By first row.
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_ROW_COLLECTOR_H_
