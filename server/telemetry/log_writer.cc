#include "server/telemetry/log_writer.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/sink.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>

#include "server/telemetry/log_format.h"

namespace predictd {
namespace {

constexpr size_t kQueueSize = 8192;
constexpr int kPollMs = 50;
constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

int64_t NowNs() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

// Writes lines to stderr, waiting while it is full, until a deadline passes; after that lines are counted and dropped.
// Log and ReportDropped are called by one thread at a time.
class StderrSink final : public spdlog::sinks::sink {
 public:
  explicit StderrSink(LogFormat format) : format_(format) {}

  void log(const spdlog::details::log_msg& message) override {
    const std::string_view line(message.payload.data(), message.payload.size());
    if (!Write(line)) {
      unwritten_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    if (pool != nullptr) ReportDropped(pool->overrun_counter());
  }

  // The lines hold their line break and are not formatted again.
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  // Logs how many lines the queue dropped since the last report.
  void ReportDropped(uint64_t overrun) {
    if (overrun == reported_) return;
    const LogField count{"count", overrun - reported_};
    if (Write(FormatLogLine(format_, std::chrono::system_clock::now(), LogLevel::kWarning,
                            "log records were dropped: stderr is read too slowly", {count}))) {
      reported_ = overrun;
    }
  }

  void set_deadline_ns(int64_t deadline) { deadline_ns_.store(deadline, std::memory_order_relaxed); }
  uint64_t unwritten() const { return unwritten_.load(std::memory_order_relaxed); }

  // The queue in front of this sink; set before the first line is queued.
  spdlog::details::thread_pool* pool = nullptr;

 private:
  bool Write(std::string_view line) {
    while (!line.empty()) {
      const bool late = NowNs() >= deadline_ns_.load(std::memory_order_relaxed);
      pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
      const int polled = poll(&ready, 1, late ? 0 : kPollMs);
      if (polled < 0 && errno != EINTR) return false;
      if (polled <= 0) {
        if (late) return false;
        continue;
      }
      // A pipe that polls as writable takes PIPE_BUF bytes at once; more could block past the deadline.
      const ssize_t written = write(STDERR_FILENO, line.data(), std::min<size_t>(line.size(), PIPE_BUF));
      if (written >= 0) {
        line.remove_prefix(static_cast<size_t>(written));
      } else if (errno != EINTR && errno != EAGAIN) {
        return false;
      }
    }
    return true;
  }

  const LogFormat format_;
  std::atomic<int64_t> deadline_ns_{kNoDeadline};
  std::atomic<uint64_t> unwritten_{0};
  uint64_t reported_ = 0;
};

// Signals belong to the process's own threads, and a closed stderr must not end the process by SIGPIPE.
void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

struct LogWriter::Impl {
  explicit Impl(LogFormat format)
      : sink(std::make_shared<StderrSink>(format)),
        pool(std::make_shared<spdlog::details::thread_pool>(kQueueSize, 1, BlockSignals)),
        logger(std::make_shared<spdlog::async_logger>("", sink, pool, spdlog::async_overflow_policy::overrun_oldest)) {
    sink->pool = pool.get();
  }

  const std::shared_ptr<StderrSink> sink;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
  uint64_t overrun_at_stop = 0;
};

LogWriter::LogWriter(LogFormat format) : impl_(std::make_unique<Impl>(format)) {}

LogWriter::~LogWriter() {
  if (impl_->pool != nullptr) Stop(absl::ZeroDuration());
}

void LogWriter::Enqueue(std::string_view line) {
  impl_->logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

void LogWriter::Stop(absl::Duration timeout) {
  impl_->sink->set_deadline_ns(NowNs() + absl::ToInt64Nanoseconds(timeout));
  impl_->overrun_at_stop = impl_->pool->overrun_counter();
  impl_->logger.reset();
  impl_->pool.reset();
  impl_->sink->ReportDropped(impl_->overrun_at_stop);
}

uint64_t LogWriter::dropped() const {
  const uint64_t overrun = impl_->pool != nullptr ? impl_->pool->overrun_counter() : impl_->overrun_at_stop;
  return overrun + impl_->sink->unwritten();
}

void WriteToStderr(std::string_view line) {
  while (!line.empty()) {
    const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
    if (written >= 0) {
      line.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
      poll(&ready, 1, kPollMs);
    } else if (errno != EINTR) {
      return;
    }
  }
}

}  // namespace predictd
