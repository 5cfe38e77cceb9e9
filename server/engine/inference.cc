#include "server/engine/inference.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/model/retry_advice.h"

namespace predictd {

int64_t InputBytes(const InferenceRequest& request) {
  int64_t bytes = 0;
  for (const Tensor& input : request.inputs) {
    if (input.dtype() != DType::kBytes) bytes += static_cast<int64_t>(input.byte_size());
    for (const std::string& string : input.strings()) bytes += static_cast<int64_t>(string.size());
  }
  return bytes;
}

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
      return absl::ResourceExhaustedError("the reader took too little for too long");
    case StopReason::kUnsent:
      return absl::DeadlineExceededError("the request took too long to arrive");
    case StopReason::kFailed:
      return absl::CancelledError(absl::StrCat("another part of the call failed; this one was in ", where));
  }
  return absl::OkStatus();
}

}  // namespace predictd
