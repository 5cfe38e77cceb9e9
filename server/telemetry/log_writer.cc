#include "server/telemetry/log_writer.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <limits>
#include <new>
#include <optional>
#include <utility>

#include "server/async/clock.h"
#include "server/telemetry/log_format.h"
#include "server/telemetry/stderr_capture.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;

constexpr size_t kMaxLines = 8192;
constexpr size_t kMaxBytes = size_t{16} << 20;
constexpr int kPollMs = 50;
constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();
constexpr std::chrono::seconds kPeriod(1);

int64_t NowNs() {
  return steady_clock::now().time_since_epoch().count();
}

// Signals belong to the process's own threads.
void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

LogWriter::LogWriter(LogFormat format, LogDrops& drops, std::atomic<int64_t>& unwritten, Periodic periodic)
    : format_(format),
      drops_(drops),
      unwritten_(unwritten),
      periodic_(std::move(periodic)),
      deadline_ns_(kNoDeadline),
      queue_(kMaxLines, kMaxBytes),
      reported_(drops.Get(LogDrop::kQueueFull)),
      thread_([this] { Run(); }) {}

LogWriter::~LogWriter() {
  if (thread_.joinable()) Stop(absl::ZeroDuration());
}

void LogWriter::Enqueue(LogLevel level, std::string line) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    const auto left = queue_.Push(level, std::move(line));
    int64_t added = 1;
    for (size_t i = 0; i < left.size(); ++i) {
      if (left[i] > 0) drops_.Add(LogDrop::kQueueFull, static_cast<LogLevel>(i), left[i]);
      added -= static_cast<int64_t>(left[i]);
    }
    unwritten_ += added;
    std::swap(wake, idle_);
  }
  if (wake) changed_.NotifyOne();
}

void LogWriter::Stop(absl::Duration timeout) {
  deadline_ns_.store(SaturatingAdd(steady_clock::now(), absl::ToChronoNanoseconds(timeout)).time_since_epoch().count(),
                     std::memory_order_relaxed);
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyOne();
  thread_.join();
}

void LogWriter::Run() {
  BlockSignals();
  TimePoint next_periodic = steady_clock::now() + kPeriod;
  while (true) {
    std::optional<LogQueue::Entry> next;
    bool stopping = false;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_ && steady_clock::now() < next_periodic) {
        idle_ = true;
        changed_.WaitUntil(mutex_, next_periodic);
      }
      idle_ = false;
      next = queue_.Pop();
      stopping = stopping_;
    }
    if (next.has_value()) {
      if (Write(next->line)) {
        ReportDropped();
      } else {
        drops_.Add(LogDrop::kUnwritten, next->level);
      }
      --unwritten_;
    }
    if (steady_clock::now() >= next_periodic) {
      WritePeriodic(/*last=*/false);
      next_periodic = steady_clock::now() + kPeriod;
    }
    if (stopping && !next.has_value()) break;
  }
  WritePeriodic(/*last=*/true);
  ReportDropped();
}

void LogWriter::WritePeriodic(bool last) try {
  for (const std::string& line : periodic_(last)) {
    if (!Write(line)) drops_.Add(LogDrop::kUnwritten, LogLevel::kInfo);
  }
} catch (const std::bad_alloc&) {
  drops_.Add(LogDrop::kUnwritten, LogLevel::kInfo);
}

// Logs how many lines the queue dropped since the last report.
void LogWriter::ReportDropped() try {
  const uint64_t dropped = drops_.Get(LogDrop::kQueueFull);
  if (dropped == reported_) return;
  const LogField count{"count", dropped - reported_};
  if (Write(FormatLogLine(format_, std::chrono::system_clock::now(), LogLevel::kWarning,
                          "log records were dropped: stderr is read too slowly", {count}))) {
    reported_ = dropped;
  }
} catch (const std::bad_alloc&) {
  // The drops are reported with the next line.
}

// Waits while stderr is full, until the deadline passes.
bool LogWriter::Write(std::string_view line) const {
  while (!line.empty()) {
    const bool late = NowNs() >= deadline_ns_.load(std::memory_order_relaxed);
    const int fd = RealStderr();
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    const int polled = poll(&ready, 1, late ? 0 : kPollMs);
    if (polled < 0 && errno != EINTR) return false;
    if (polled <= 0) {
      if (late) return false;
      continue;
    }
    // A pipe that polls as writable takes PIPE_BUF bytes at once; more could block past the deadline.
    const ssize_t written = write(fd, line.data(), std::min<size_t>(line.size(), PIPE_BUF));
    if (written >= 0) {
      line.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR && errno != EAGAIN) {
      return false;
    }
  }
  return true;
}

void WriteToStderr(std::string_view line) {
  while (!line.empty()) {
    const int fd = RealStderr();
    const ssize_t written = write(fd, line.data(), line.size());
    if (written >= 0) {
      line.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
      poll(&ready, 1, kPollMs);
    } else if (errno != EINTR) {
      return;
    }
  }
}

}  // namespace predictd
