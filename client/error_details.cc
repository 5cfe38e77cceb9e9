#include "client/error_details.h"

#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"

namespace predictd {
inline namespace client {
namespace {

void AddDetails(const google::rpc::Status& status, ErrorDetails& details) {
  for (const google::protobuf::Any& any : status.details()) {
    google::rpc::BadRequest bad_request;
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&bad_request)) {
      for (const auto& violation : bad_request.field_violations()) {
        details.field_violations.push_back({violation.field(), violation.description()});
      }
    } else if (any.UnpackTo(&retry)) {
      details.retry_after =
          absl::Seconds(retry.retry_delay().seconds()) + absl::Nanoseconds(retry.retry_delay().nanos());
    }
  }
}

}  // namespace

ErrorDetails DetailsOf(const google::rpc::Status& status) {
  ErrorDetails details{.code = static_cast<absl::StatusCode>(status.code()), .message = status.message()};
  AddDetails(status, details);
  return details;
}

ErrorDetails DetailsOf(const absl::Status& status, absl::string_view details_bin, absl::string_view pushback) {
  ErrorDetails details{.code = status.code(), .message = std::string(status.message())};
  google::rpc::Status rich;
  if (!details_bin.empty() && rich.ParseFromArray(details_bin.data(), static_cast<int>(details_bin.size()))) {
    AddDetails(rich, details);
  }
  std::int64_t milliseconds = 0;
  if (absl::SimpleAtoi(pushback, &milliseconds)) {
    details.retry_forbidden = milliseconds < 0;
    details.retry_after.reset();
    if (milliseconds >= 0) details.retry_after = absl::Milliseconds(milliseconds);
  }
  return details;
}

std::string CodeName(absl::StatusCode code) {
  std::string name = absl::StatusCodeToString(code);
  return name.empty() ? absl::StrCat(static_cast<int>(code)) : name;
}

}  // namespace client
}  // namespace predictd
