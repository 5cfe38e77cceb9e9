// What predictctl's exit status means to scripts.
#ifndef PREDICTD_CLIENT_PREDICTCTL_EXIT_CODE_H_
#define PREDICTD_CLIENT_PREDICTCTL_EXIT_CODE_H_

#include "absl/status/status.h"

namespace predictd {

inline constexpr int kExitOk = 0;
// Wrong usage, an input that cannot be read, or an output that cannot be written.
inline constexpr int kExitLocalError = 2;
// A stream ended successfully, but some rows were answered with an error.
inline constexpr int kExitRowsFailed = 3;
// The number of the failed call's gRPC code is added: 13 for INVALID_ARGUMENT, 24 for UNAVAILABLE.
inline constexpr int kExitCallFailed = 10;
// SIGINT or SIGTERM, as a shell reports it.
inline constexpr int kExitInterrupted = 130;

// The exit status for a call that ended with `status`; `interrupted` if predictctl itself cancelled it.
int ExitCodeOfCall(const absl::Status& status, bool interrupted);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_EXIT_CODE_H_
