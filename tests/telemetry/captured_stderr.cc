#include "tests/telemetry/captured_stderr.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace predictd {

CapturedStderr::CapturedStderr() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  saved_ = dup(STDERR_FILENO);
  read_end_ = ends[0];
  fcntl(read_end_, F_SETFL, O_NONBLOCK);
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
}

CapturedStderr::~CapturedStderr() {
  Restore();
  close(read_end_);
}

std::string CapturedStderr::Finish() {
  Restore();
  return ReadAvailable();
}

std::string CapturedStderr::ReadAvailable() {
  std::string text;
  std::array<char, 4096> buffer;
  ssize_t size = 0;
  while ((size = read(read_end_, buffer.data(), buffer.size())) > 0) text.append(buffer.data(), size);
  return text;
}

void CapturedStderr::Restore() {
  if (saved_ < 0) return;
  dup2(saved_, STDERR_FILENO);
  close(saved_);
  saved_ = -1;
}

}  // namespace predictd
