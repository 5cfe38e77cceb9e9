#include "server/process/working_directory.h"

#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

constinit bool removed = false;

}  // namespace

void LeaveRemovedWorkingDirectory() {
  char path[PATH_MAX];
  // The C library's getcwd would allocate and look further.
  if (syscall(SYS_getcwd, path, sizeof(path)) > 0) return;
  removed = chdir("/") == 0;
}

bool WorkingDirectoryWasRemoved() {
  return removed;
}

absl::Status MakeAbsolute(std::string& path) {
  if (path.empty() || path.front() == '/') return absl::OkStatus();
  if (removed) {
    return absl::FailedPreconditionError(
        absl::StrCat("'", path, "' is relative to the working directory, which has been removed"));
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return absl::FailedPreconditionError(absl::StrCat("'", path, "': ", error.message()));
  path = absolute.string();
  return absl::OkStatus();
}

}  // namespace predictd
