#include "server/async/retry_advice.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

constexpr char kPayload[] = "predictd/retry-after-ms";
constexpr char kNoRetry[] = "-1";

}  // namespace

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay) {
  status.SetPayload(kPayload, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(delay))));
  return status;
}

std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  int64_t milliseconds = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &milliseconds)) return std::nullopt;
  if (milliseconds < 0) return std::nullopt;
  return absl::Milliseconds(milliseconds);
}

absl::Status WithoutRetry(absl::Status status) {
  status.SetPayload(kPayload, absl::Cord(kNoRetry));
  return status;
}

bool RetryForbidden(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  return payload.has_value() && *payload == kNoRetry;
}

}  // namespace predictd
