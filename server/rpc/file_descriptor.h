#ifndef PREDICTD_SERVER_RPC_FILE_DESCRIPTOR_H_
#define PREDICTD_SERVER_RPC_FILE_DESCRIPTOR_H_

#include <unistd.h>

#include <string>
#include <system_error>
#include <utility>

namespace predictd {

// Owns a file descriptor, or none.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { Reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    Reset(other.Release());
    return *this;
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    if (fd_ >= 0 && fd_ != fd) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// What the system says of an errno.
inline std::string ErrorText(int error) {
  return std::system_category().message(error);
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_FILE_DESCRIPTOR_H_
