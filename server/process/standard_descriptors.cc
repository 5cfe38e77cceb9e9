#include "server/process/standard_descriptors.h"

#include <fcntl.h>
#include <unistd.h>

namespace predictd {

void OpenStandardDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    // This opens the lowest number that is free, which is `fd`.
    if (open("/dev/null", O_RDWR) < 0) return;
  }
}

}  // namespace predictd
