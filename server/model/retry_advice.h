#ifndef PREDICTD_SERVER_MODEL_RETRY_ADVICE_H_
#define PREDICTD_SERVER_MODEL_RETRY_ADVICE_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace predictd {

// Attaches to an error when the caller should try again; the transport turns it into google.rpc.RetryInfo and
// `grpc-retry-pushback-ms`.
absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);

// What WithRetryAfter attached.
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_RETRY_ADVICE_H_
