// Requests for a stream that are larger than a message may be.
#ifndef PREDICTD_CLIENT_PREDICTCTL_REQUEST_CUTTER_H_
#define PREDICTD_CLIENT_PREDICTCTL_REQUEST_CUTTER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "client/predictctl/command_line.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {

// Cuts the rows of a request into parts, each of which is a request of its own that keeps to a limit. A short-lived
// value, used by one thread.
class RequestCutter {
 public:
  // `request` has raw inputs, which are encoded part by part. It is cut only if all inputs have the same number of
  // rows, more than one, and all of it is larger than `max_bytes`.
  RequestCutter(v1::PredictStreamRequest request, Encoding encoding, std::int64_t max_bytes);

  // Where the next part begins.
  std::int64_t first_row() const { return first_row_; }

  // The rows of all parts together; 0 if the inputs do not have the same number of rows.
  std::int64_t rows() const { return rows_; }

  // Whether there are no more parts. At first there is one.
  bool at_end() const { return at_end_; }

  // Whether the part that Next returned last is one of several.
  bool has_cut() const { return has_cut_; }

  // The next part: as many rows as fit, and at least one, which is larger than the limit if a single row is; whole
  // chunks, as far as one fits. INVALID_ARGUMENT for inputs that cannot be encoded. Not to be called at the end.
  absl::StatusOr<v1::PredictStreamRequest> Next();

 private:
  // The request for `count` rows from the current one on, encoded.
  absl::StatusOr<v1::PredictStreamRequest> Part(std::int64_t count) const;
  // A smaller number of rows, of which about `bytes_of_count` should fit into the limit.
  std::int64_t Fewer(std::int64_t count, std::int64_t bytes_of_count) const;

  v1::PredictStreamRequest request_;
  const Encoding encoding_;
  const std::int64_t max_bytes_;
  std::int64_t rows_ = 0;
  std::int64_t first_row_ = 0;
  // How many rows the next part may have, if they fit.
  std::int64_t count_ = 0;
  bool at_end_ = false;
  bool has_cut_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_REQUEST_CUTTER_H_
