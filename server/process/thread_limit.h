#ifndef PREDICTD_SERVER_PROCESS_THREAD_LIMIT_H_
#define PREDICTD_SERVER_PROCESS_THREAD_LIMIT_H_

#include "absl/status/status.h"

namespace predictd {

// Returns RESOURCE_EXHAUSTED if `count` further threads cannot run at the same time, which it finds out by trying. The
// libraries below abort the process, or wait for ever, if one of their threads cannot be started.
absl::Status CheckThreadLimit(int count);

}  // namespace predictd

#endif  // PREDICTD_SERVER_PROCESS_THREAD_LIMIT_H_
