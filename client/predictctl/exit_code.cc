#include "client/predictctl/exit_code.h"

namespace predictd {

int ExitCodeOfCall(const absl::Status& status, bool interrupted) {
  if (status.ok()) return kExitOk;
  if (interrupted && absl::IsCancelled(status)) return kExitInterrupted;
  return kExitCallFailed + static_cast<int>(status.code());
}

}  // namespace predictd
