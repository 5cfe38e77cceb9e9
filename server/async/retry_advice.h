#ifndef PREDICTD_SERVER_ASYNC_RETRY_ADVICE_H_
#define PREDICTD_SERVER_ASYNC_RETRY_ADVICE_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace predictd {

// Attaches to an error after what delay the caller should try again. The transport turns it into google.rpc.RetryInfo
// and `grpc-retry-pushback-ms`.
absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);

// The delay that WithRetryAfter attached.
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

// Attaches to an error that it is of no use to try again. The transport turns it into a `grpc-retry-pushback-ms` of -1,
// which keeps gRPC's clients from retrying whatever they would retry otherwise.
absl::Status WithoutRetry(absl::Status status);
bool RetryForbidden(const absl::Status& status);

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_RETRY_ADVICE_H_
