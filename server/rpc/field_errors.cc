#include "server/rpc/field_errors.h"

#include <google/rpc/error_details.pb.h>

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "server/rpc/status.h"

namespace predictd {
namespace {

// Trailers have a limit; who has more than this wrong will ask again anyway.
constexpr size_t kMaxErrors = 16;
constexpr size_t kMaxDescription = 256;

}  // namespace

void FieldErrors::Add(std::string field, absl::string_view description) {
  if (errors_.size() < kMaxErrors)
    errors_.push_back({std::move(field), std::string(description.substr(0, kMaxDescription))});
}

absl::Status FieldErrors::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  google::rpc::BadRequest bad_request;
  for (const Error& error : errors_) {
    google::rpc::BadRequest::FieldViolation* violation = bad_request.add_field_violations();
    violation->set_field(error.field);
    violation->set_description(error.description);
  }
  std::string message = absl::StrCat(errors_[0].field, ": ", errors_[0].description);
  if (errors_.size() > 1) absl::StrAppend(&message, " (and ", errors_.size() - 1, " more)");
  absl::Status status = absl::InvalidArgumentError(message);
  AttachDetail(bad_request, status);
  return status;
}

}  // namespace predictd
