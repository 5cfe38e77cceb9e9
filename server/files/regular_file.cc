#include "server/files/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

constexpr size_t kMaxRead = size_t{1} << 20;

absl::Status CannotRead(int error) {
  const std::string message = absl::StrCat("cannot be read: ", std::strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::InvalidArgumentError(message);
}

absl::Status CheckKind(const struct stat& file) {
  if (S_ISREG(file.st_mode)) return absl::OkStatus();
  return absl::InvalidArgumentError("cannot be read: it is not a regular file");
}

absl::Status TooLarge(int64_t max_bytes) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot be read: it has more than the ", max_bytes, " bytes that are allowed"));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

absl::Status CheckRegularFile(const std::filesystem::path& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return CannotRead(errno);
  return CheckKind(file);
}

absl::StatusOr<std::string> ReadRegularFile(const std::filesystem::path& path, int64_t max_bytes) {
  // The file is checked before it is opened, because opening alone has effects on some devices, and again afterwards,
  // because it may have been replaced since.
  if (absl::Status status = CheckRegularFile(path); !status.ok()) return status;
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat opened {};
  if (file.fd() < 0 || fstat(file.fd(), &opened) != 0) return CannotRead(errno);
  if (absl::Status status = CheckKind(opened); !status.ok()) return status;
  if (opened.st_size > max_bytes) return TooLarge(max_bytes);

  // This reads to the end rather than to the size: files in /proc claim to be empty, and others grow.
  std::string content;
  size_t filled = 0;
  while (true) {
    const auto left = static_cast<size_t>(std::max<int64_t>(opened.st_size - static_cast<int64_t>(filled), 0));
    content.resize(filled + std::clamp<size_t>(left + 1, 4096, kMaxRead));
    const ssize_t got = read(file.fd(), content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return CannotRead(errno);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
    if (static_cast<int64_t>(filled) > max_bytes) return TooLarge(max_bytes);
  }
  content.resize(filled);
  return content;
}

absl::Status CheckFolder(const std::filesystem::path& path) {
  struct stat folder {};
  if (stat(path.c_str(), &folder) != 0) return CannotRead(errno);
  if (!S_ISDIR(folder.st_mode)) return CannotRead(ENOTDIR);
  if (access(path.c_str(), R_OK | X_OK) != 0) return CannotRead(errno);
  return absl::OkStatus();
}

}  // namespace predictd
