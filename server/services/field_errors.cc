#include "server/services/field_errors.h"

#include <google/protobuf/arena.h>
#include <google/rpc/error_details.pb.h>

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "server/rpc/status.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

// Trailers have a limit (8 KiB with most clients), and a caller with more errors than this will have to ask again
// anyway.
constexpr size_t kMaxErrors = 16;
constexpr size_t kMaxField = 128;
constexpr size_t kMaxDescription = 256;
constexpr size_t kMaxBytes = 3584;

}  // namespace

bool FieldErrors::full() const {
  return errors_.size() >= kMaxErrors || bytes_ > kMaxBytes;
}

void FieldErrors::Add(absl::string_view field, absl::string_view description) {
  if (full()) return;
  Error error{ToUtf8({field.data(), field.size()}, kMaxField),
              ToUtf8({description.data(), description.size()}, kMaxDescription)};
  bytes_ += error.field.size() + error.description.size();
  if (bytes_ <= kMaxBytes) errors_.push_back(std::move(error));
}

absl::Status FieldErrors::ToStatus() const {
  if (errors_.empty()) return absl::OkStatus();
  // Without an arena, protobuf leaks memory when an allocation fails.
  google::protobuf::Arena arena;
  auto* bad_request = google::protobuf::Arena::CreateMessage<google::rpc::BadRequest>(&arena);
  for (const Error& error : errors_) {
    google::rpc::BadRequest::FieldViolation* violation = bad_request->add_field_violations();
    violation->set_field(error.field);
    violation->set_description(error.description);
  }
  std::string message = absl::StrCat(errors_[0].field, ": ", errors_[0].description);
  if (errors_.size() > 1) absl::StrAppend(&message, " (and ", errors_.size() - 1, " more)");
  absl::Status status = absl::InvalidArgumentError(message);
  AttachDetail(*bad_request, status);
  return status;
}

}  // namespace predictd
