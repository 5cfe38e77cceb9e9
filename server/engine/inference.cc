#include "server/engine/inference.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/model/retry_advice.h"

namespace predictd {

absl::Status StopStatus(StopReason reason, absl::string_view where) {
  switch (reason) {
    case StopReason::kNone:
      break;
    case StopReason::kDeadline:
      return absl::DeadlineExceededError(absl::StrCat("the deadline passed in ", where));
    case StopReason::kCancelled:
      return absl::CancelledError(absl::StrCat("the caller went away; the request was in ", where));
    case StopReason::kDraining:
      return WithRetryAfter(absl::UnavailableError(absl::StrCat("the server shuts down; the request was in ", where)),
                            absl::Seconds(1));
    case StopReason::kStalled:
      return absl::ResourceExhaustedError("the reader took nothing from the stream for too long");
    case StopReason::kFailed:
      return absl::CancelledError(absl::StrCat("another part of the call failed; this one was in ", where));
  }
  return absl::OkStatus();
}

}  // namespace predictd
