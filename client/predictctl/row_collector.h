// Assembles the results of a stream.
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
  // Takes a result without an error, whose outputs must be raw and well formed.
  void Add(v1::RowsResult result);

  // The outputs of all rows [0, total_rows), raw. DATA_LOSS, with their number, if rows are missing; INTERNAL if the
  // outputs of the results do not fit together.
  absl::StatusOr<std::vector<v1::Tensor>> Assemble(std::int64_t total_rows) const;

 private:
  std::map<std::int64_t, v1::RowsResult> results_;  // By first row.
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_ROW_COLLECTOR_H_
