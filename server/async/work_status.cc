#include "server/async/work_status.h"

#include <exception>
#include <new>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/async/retry_advice.h"

namespace predictd {
namespace {

absl::Status MakeStopStatus(StopReason reason, absl::string_view where) {
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
      return absl::ResourceExhaustedError("the reader took too little for too long");
    case StopReason::kUnsent:
      return absl::DeadlineExceededError("the request took too long to arrive");
    case StopReason::kTooLarge:
      return absl::ResourceExhaustedError(
          "a request of this connection is larger than --max-message-bytes of the server");
    case StopReason::kNoRoom:
      return WithRetryAfter(absl::ResourceExhaustedError("requests that are on their way take too much memory"),
                            absl::Seconds(1));
    case StopReason::kFailed:
      return absl::CancelledError(absl::StrCat("another part of the call failed; this one was in ", where));
  }
  return absl::OkStatus();
}

absl::StatusCode StopCode(StopReason reason) {
  switch (reason) {
    case StopReason::kNone:
      return absl::StatusCode::kOk;
    case StopReason::kDeadline:
    case StopReason::kUnsent:
      return absl::StatusCode::kDeadlineExceeded;
    case StopReason::kDraining:
      return absl::StatusCode::kUnavailable;
    case StopReason::kStalled:
    case StopReason::kTooLarge:
    case StopReason::kNoRoom:
      return absl::StatusCode::kResourceExhausted;
    case StopReason::kCancelled:
    case StopReason::kFailed:
      break;
  }
  return absl::StatusCode::kCancelled;
}

}  // namespace

absl::Status StopStatus(StopReason reason, absl::string_view where) noexcept {
  try {
    return MakeStopStatus(reason, where);
  } catch (const std::bad_alloc&) {
    return absl::Status(StopCode(reason), "");
  }
}

absl::Status OutOfMemoryStatus() noexcept {
  try {
    // Copies share its memory.
    static const absl::Status status =
        WithRetryAfter(absl::ResourceExhaustedError("the server has no memory for the request now"), absl::Seconds(1));
    return status;
  } catch (const std::bad_alloc&) {
    return absl::Status(absl::StatusCode::kResourceExhausted, "");
  }
}

absl::Status StatusOfException() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return OutOfMemoryStatus();
  } catch (const std::exception& error) {
    try {
      return absl::InternalError(error.what());
    } catch (const std::bad_alloc&) {
      return OutOfMemoryStatus();
    }
  } catch (...) {
    return absl::Status(absl::StatusCode::kInternal, "");
  }
}

}  // namespace predictd
