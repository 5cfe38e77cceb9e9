#ifndef PREDICTD_SERVER_ASYNC_WORK_STATUS_H_
#define PREDICTD_SERVER_ASYNC_WORK_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/async/stop.h"

namespace predictd {

// The status of work that was stopped. Its message says `where` the work was ("the queue"). If there is no memory for
// the message, there is no message.
absl::Status StopStatus(StopReason reason, absl::string_view where) noexcept;

// RESOURCE_EXHAUSTED, which says that there was no memory for the request. Never throws: without memory even for the
// message, there is no message.
absl::Status OutOfMemoryStatus() noexcept;

// The status of work that ended with an exception; to be called inside the handler of that exception. Never throws.
absl::Status StatusOfException() noexcept;

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_WORK_STATUS_H_
