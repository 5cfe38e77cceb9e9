#include "server/files/atomic_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace predictd {

absl::Status WriteFileAtomically(const std::string& file, absl::string_view content) {
  const std::string temporary = file + ".tmp";
  // An earlier process may have left something behind. If that is a pipe, opening it would wait.
  unlink(temporary.c_str());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  bool written = fd >= 0;
  int error = errno;
  while (written && !content.empty()) {
    const ssize_t size = write(fd, content.data(), content.size());
    if (size > 0) content.remove_prefix(static_cast<size_t>(size));
    written = size > 0 || errno == EINTR;
    error = errno;
  }
  if (fd >= 0) close(fd);
  if (written && rename(temporary.c_str(), file.c_str()) == 0) return absl::OkStatus();
  if (written) error = errno;
  if (fd >= 0) unlink(temporary.c_str());
  return absl::UnavailableError(absl::StrCat("cannot write ", file, ": ", std::strerror(error)));
}

}  // namespace predictd
