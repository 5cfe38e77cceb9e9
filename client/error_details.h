// What a failed call says besides its code: the google.rpc messages behind a status.
#ifndef PREDICTD_CLIENT_ERROR_DETAILS_H_
#define PREDICTD_CLIENT_ERROR_DETAILS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/rpc/status.pb.h"

namespace predictd {
inline namespace client {

// One thing that is wrong with a request.
struct FieldViolation {
  std::string field;        // As in "inputs[0].shape[1]".
  std::string description;  // What was expected and what came.

  bool operator==(const FieldViolation&) const = default;
};

// A failed call, or the failed rows of a stream.
struct ErrorDetails {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  std::string message = {};
  std::vector<FieldViolation> field_violations = {};
  // When to retry, if the server says so; see retry_forbidden for "never".
  std::optional<absl::Duration> retry_after = std::nullopt;
  bool retry_forbidden = false;
};

// The details in a google.rpc.Status, such as RowsResult.error. Types that this client does not know are left out.
ErrorDetails DetailsOf(const google::rpc::Status& status);

// The details of a call that ended with `status`: from the bytes of the trailer `grpc-status-details-bin` and from the
// text of `grpc-retry-pushback-ms`, which takes precedence over RetryInfo. A trailer that was not sent is empty.
ErrorDetails DetailsOf(const absl::Status& status, absl::string_view details_bin, absl::string_view pushback);

// The code's name, such as "INVALID_ARGUMENT", or the number of a code that has no name.
std::string CodeName(absl::StatusCode code);

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_ERROR_DETAILS_H_
