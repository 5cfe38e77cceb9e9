#include "server/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace predictd {
namespace {

absl::Status SystemError() {
  return absl::UnavailableError(std::error_code(errno, std::generic_category()).message());
}

}  // namespace

absl::StatusOr<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return SystemError();
  struct stat status {};
  void* data = nullptr;
  // An empty file cannot be mapped.
  if (fstat(file, &status) == 0 && status.st_size > 0) {
    data = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, file, 0);
  }
  absl::Status failed = data == MAP_FAILED ? SystemError() : absl::OkStatus();
  close(file);
  if (!failed.ok()) return failed;
  return MappedFile(data, static_cast<size_t>(status.st_size));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

}  // namespace predictd
