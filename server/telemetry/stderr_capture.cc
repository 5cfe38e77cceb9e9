#include "server/telemetry/stderr_capture.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <streambuf>
#include <system_error>
#include <utility>

namespace predictd {
namespace {

// This is as much as processes without privileges may have. Where less is allowed, the pipe keeps its default size.
constexpr int kPipeBytes = 1 << 20;
// A line that has not ended is handed on after this time.
constexpr int kUnfinishedMilliseconds = 200;
// How long a process that dies waits for its last lines, and in what steps.
constexpr int kLastLinesMilliseconds = 500;
constexpr int kStepMilliseconds = 10;

const dev_t kNullDevice = makedev(1, 3);

constexpr std::array<int, 5> kFatalSignals = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
constexpr char kMissing[] = "lines may be missing here: they came faster than they could be read";

std::atomic<int> real_stderr{STDERR_FILENO};
std::atomic<StderrCapture*> the_capture{nullptr};
std::atomic<bool> dying{false};

// The buffer through which std::cerr and std::clog write from the first capture on. Without it, a stream would stop for
// ever after an error, and a full pipe is one.
class NeverFails final : public std::streambuf {
 protected:
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    (void)std::fwrite(text, 1, static_cast<size_t>(size), stderr);
    return size;
  }
  int overflow(int c) override {
    if (c != traits_type::eof()) (void)std::fputc(c, stderr);
    return 0;
  }
};

void SleepMilliseconds(int milliseconds) {
  const timespec time{.tv_sec = 0, .tv_nsec = milliseconds * 1'000'000L};
  nanosleep(&time, nullptr);
}

int Waiting(int pipe) {
  int bytes = 0;
  return ioctl(pipe, FIONREAD, &bytes) == 0 ? bytes : 0;
}

// Writes what can be written without waiting.
void WriteNow(int fd, std::string_view text) {
  while (!text.empty()) {
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, 0) <= 0) return;
    const ssize_t written = write(fd, text.data(), std::min<size_t>(text.size(), PIPE_BUF));
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

// Afterwards the process dies as it would have without this handler: the instruction that failed fails again, and a
// signal that was sent is sent again.
void OnFatalSignal(int signal, siginfo_t* info, void* /*context*/) {
  const int error = errno;
  if (dying.exchange(true)) {
    // Another thread is handling it already.
    SleepMilliseconds(2 * kLastLinesMilliseconds - 1);
  } else if (StderrCapture* const capture = the_capture.load()) {
    capture->OnDeath();
  }
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  sigaction(signal, &usual, nullptr);
  if (info->si_code <= 0) raise(signal);
  errno = error;
}

// Installs the handler only for signals that nobody else handles.
void HandleFatalSignals() {
  for (const int signal : kFatalSignals) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if ((before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL) continue;
    struct sigaction ours {};
    ours.sa_sigaction = OnFatalSignal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&ours.sa_mask);
    for (const int other : kFatalSignals) sigdelset(&ours.sa_mask, other);
    sigaction(signal, &ours, nullptr);
  }
}

}  // namespace

int RealStderr() {
  return real_stderr.load(std::memory_order_relaxed);
}

std::unique_ptr<StderrCapture> StderrCapture::Start(Sink sink, Written written) {
  std::unique_ptr<StderrCapture> capture(new StderrCapture(std::move(sink), written));
  if (!capture->Open()) return nullptr;
  try {
    capture->thread_ = std::thread([&capture = *capture] { capture.Run(); });
  } catch (const std::system_error&) {
    return nullptr;
  }
  // The buffer is leaked, because somebody may write until the process ends.
  static auto* const never_fails = new NeverFails;
  std::cerr.rdbuf(never_fails);
  std::clog.rdbuf(never_fails);
  real_stderr.store(capture->real_);
  the_capture.store(capture.get());
  HandleFatalSignals();
  dup2(capture->write_end_, STDERR_FILENO);
  // After this, descriptor 2 is the pipe's last writing end, and the pipe ends with it.
  close(std::exchange(capture->write_end_, -1));
  return capture;
}

bool StderrCapture::Open() {
  // Nobody would read the null device.
  struct stat file {};
  if (fstat(STDERR_FILENO, &file) == 0 && S_ISCHR(file.st_mode) && file.st_rdev == kNullDevice) return false;
  std::array<int, 2> ends{-1, -1};
  real_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (real_ < 0 || pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return false;
  read_end_ = ends[0];
  write_end_ = ends[1];
  wakeup_ = eventfd(0, EFD_CLOEXEC);
  if (wakeup_ < 0) return false;
  (void)fcntl(write_end_, F_SETPIPE_SZ, kPipeBytes);
  capacity_ = fcntl(write_end_, F_GETPIPE_SZ);
  return true;
}

void StderrCapture::Stop() {
  dup2(real_, STDERR_FILENO);
  real_stderr.store(STDERR_FILENO);
  // The pipe would not end if somebody has duplicated descriptor 2.
  eventfd_write(wakeup_, 1);
  thread_.join();
  the_capture.store(nullptr);
}

StderrCapture::~StderrCapture() {
  for (const int fd : {real_, read_end_, write_end_, wakeup_}) {
    if (fd >= 0) close(fd);
  }
}

void StderrCapture::Run() {
  // Signals belong to the process's own threads.
  sigset_t all;
  sigfillset(&all);
  for (const int signal : kFatalSignals) sigdelset(&all, signal);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  while (true) {
    std::array<pollfd, 2> ready{{{read_end_, POLLIN, 0}, {wakeup_, POLLIN, 0}}};
    const int polled = poll(ready.data(), ready.size(), filled_ > 0 ? kUnfinishedMilliseconds : -1);
    if (polled < 0 && errno != EINTR) SleepMilliseconds(kStepMilliseconds);
    if (polled > 0 && (!Drain() || ready[1].revents != 0)) break;
    if (polled == 0) HandOn(/*all=*/true);
  }
  HandOn(/*all=*/true);
}

bool StderrCapture::Drain() {
  // The pipe counts as full from half of its capacity on, because its pages may be half empty.
  const bool full = Waiting(read_end_) > capacity_ / 2;
  while (true) {
    const size_t filled = filled_;
    const ssize_t got = read(read_end_, buffer_.data() + filled, buffer_.size() - filled);
    if (got == 0) return false;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    filled_ = filled + static_cast<size_t>(got);
    HandOn(/*all=*/filled_ == buffer_.size());
  }
  if (full) HandOnLine(kMissing);
  return true;
}

void StderrCapture::HandOn(bool all) {
  std::string_view left(buffer_.data(), filled_);
  while (!left.empty()) {
    const size_t end = left.find('\n');
    if (end == std::string_view::npos && !all) break;
    HandOnLine(left.substr(0, end));
    left.remove_prefix(std::min(end, left.size() - 1) + 1);
  }
  std::memmove(buffer_.data(), left.data(), left.size());
  filled_ = left.size();
}

void StderrCapture::HandOnLine(std::string_view line) {
  while (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return;
  if (sink_(line)) {
    untold_size_ = 0;
    return;
  }
  line = line.substr(0, untold_.size() / 2);
  size_t size = untold_size_;
  if (size + line.size() >= untold_.size()) {
    // The older half leaves.
    const size_t kept = std::min(size, untold_.size() / 2 - 1);
    std::memmove(untold_.data(), untold_.data() + size - kept, kept);
    size = kept;
  }
  std::memcpy(untold_.data() + size, line.data(), line.size());
  untold_[size + line.size()] = '\n';
  untold_size_ = size + line.size() + 1;
}

bool StderrCapture::NothingLeft() const {
  return filled_ == 0 && Waiting(read_end_) == 0 && written_();
}

void StderrCapture::OnDeath() {
  // What is written from here on goes to stderr as it is, and the thread finds the pipe's end.
  dup2(real_, STDERR_FILENO);
  for (int waited = 0; waited < kLastLinesMilliseconds && !NothingLeft(); waited += kStepMilliseconds) {
    SleepMilliseconds(kStepMilliseconds);
  }
  WriteWhatIsLeft();
}

void StderrCapture::WriteWhatIsLeft() {
  WriteNow(real_, std::string_view(untold_.data(), untold_size_.exchange(0)));
  WriteNow(real_, std::string_view(buffer_.data(), filled_.exchange(0)));
  std::array<char, 512> more;
  ssize_t got = 0;
  while ((got = read(read_end_, more.data(), more.size())) > 0) {
    WriteNow(real_, std::string_view(more.data(), static_cast<size_t>(got)));
  }
}

}  // namespace predictd
