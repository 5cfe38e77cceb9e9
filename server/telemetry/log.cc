#include "server/telemetry/log.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/async/mutex.h"
#include "server/telemetry/failure_limiter.h"
#include "server/telemetry/log_drops.h"
#include "server/telemetry/log_format.h"
#include "server/telemetry/log_limiter.h"
#include "server/telemetry/log_writer.h"
#include "server/telemetry/stderr_capture.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr uint64_t kFailuresPerSecond = 10;
// How many of the lines that libraries and models write to stderr are logged, and in what time.
constexpr uint64_t kForeignLines = 50;
constexpr std::chrono::seconds kForeignPeriod(10);

// The process's logging. It is leaked on purpose, because destructors of static objects may still log.
struct Logging {
  std::atomic<LogLevel> level{LogLevel::kInfo};
  std::atomic<LogFormat> format{LogFormat::kText};

  Mutex mutex;
  std::unique_ptr<LogWriter> writer ABSL_GUARDED_BY(mutex);
  std::unique_ptr<StderrCapture> capture ABSL_GUARDED_BY(mutex);
  // Lines that are queued or being written.
  std::atomic<int64_t> unwritten{0};

  LogDrops drops;
  FailureLimiter failures{kFailuresPerSecond};
};

Logging& TheLogging() {
  static Logging* const logging = new Logging;
  return *logging;
}

// Takes a line that somebody else has written to stderr, and returns whether it becomes a record.
bool LogForeignLine(std::string_view line) {
  static LogLimiter limiter(kForeignLines, kForeignPeriod);
  if (!LogEnabled(LogLevel::kWarning)) return false;
  const std::optional<uint64_t> held_back = limiter.Admit(steady_clock::now());
  if (!held_back.has_value()) {
    TheLogging().drops.Add(LogDrop::kHeldBack, LogLevel::kWarning);
    return false;
  }
  const LogField fields[] = {{"detail", line}, {"held_back", *held_back}};
  Log(LogLevel::kWarning, "a library wrote to stderr", absl::MakeConstSpan(fields).first(*held_back > 0 ? 2 : 1));
  return true;
}

// This is called by a signal handler, so it only touches what needs no lock.
bool AllIsWritten() {
  return TheLogging().unwritten.load() == 0;
}

// Returns a record for each model and code that had more failures than may be logged.
std::vector<std::string> HeldBackLines(bool last) {
  std::vector<std::string> lines;
  const LogFormat format = TheLogging().format.load(std::memory_order_relaxed);
  for (const FailureLimiter::HeldBack& more :
       TheLogging().failures.Take(last ? steady_clock::time_point::max() : steady_clock::now())) {
    if (!LogEnabled(more.level)) continue;
    const LogField fields[] = {{"model", more.model}, {"code", more.code}, {"count", more.count}};
    lines.push_back(FormatLogLine(format, system_clock::now(), more.level,
                                  "more requests failed in the same way within a second", fields));
  }
  return lines;
}

}  // namespace

void InitLogging(const LogOptions& options) {
  ShutdownLogging();
  Logging& logging = TheLogging();
  logging.level.store(options.level, std::memory_order_relaxed);
  logging.format.store(options.format, std::memory_order_relaxed);
  auto writer = std::make_unique<LogWriter>(options.format, logging.drops, logging.unwritten, HeldBackLines);
  {
    MutexLock lock(logging.mutex);
    logging.writer = std::move(writer);
  }
  if (!options.capture_stderr) return;
  // A library that ends the process by exit has written why.
  static const int at_exit = std::atexit([] { ShutdownLogging(); });
  (void)at_exit;
  std::unique_ptr<StderrCapture> capture = StderrCapture::Start(LogForeignLine, AllIsWritten);
  if (capture == nullptr) {
    Log(LogLevel::kWarning, "what libraries write to stderr cannot be made records of the log");
    return;
  }
  MutexLock lock(logging.mutex);
  logging.capture = std::move(capture);
}

void ShutdownLogging(absl::Duration timeout) {
  Logging& logging = TheLogging();
  std::unique_ptr<StderrCapture> capture;
  {
    MutexLock lock(logging.mutex);
    capture = std::move(logging.capture);
  }
  // The capture stops first, while the writer is there to take its lines.
  if (capture != nullptr) capture->Stop();
  std::unique_ptr<LogWriter> writer;
  {
    MutexLock lock(logging.mutex);
    writer = std::move(logging.writer);
  }
  if (writer != nullptr) writer->Stop(timeout);
}

bool LogEnabled(LogLevel level) {
  return level >= TheLogging().level.load(std::memory_order_relaxed);
}

void Log(LogLevel level, std::string_view message, absl::Span<const LogField> fields) {
  if (!LogEnabled(level)) return;
  Logging& logging = TheLogging();
  try {
    std::string line =
        FormatLogLine(logging.format.load(std::memory_order_relaxed), system_clock::now(), level, message, fields);
    {
      MutexLock lock(logging.mutex);
      if (logging.writer != nullptr) {
        logging.writer->Enqueue(level, std::move(line));
        return;
      }
    }
    WriteToStderr(line);
  } catch (const std::bad_alloc&) {
    // The thread that logs must not end for want of a line.
    logging.drops.Add(LogDrop::kUnwritten, level);
  }
}

bool AdmitFailure(LogLevel level, std::string_view model, std::string_view code) {
  Logging& logging = TheLogging();
  try {
    if (logging.failures.Admit(level, model, code, steady_clock::now())) return true;
  } catch (const std::bad_alloc&) {
    // The failure is counted like the others.
  }
  logging.drops.Add(LogDrop::kHeldBack, level);
  return false;
}

uint64_t DroppedLogRecords(LogDrop reason, LogLevel level) {
  return TheLogging().drops.Get(reason, level);
}

uint64_t DroppedLogRecords() {
  const LogDrops& drops = TheLogging().drops;
  return drops.Get(LogDrop::kQueueFull) + drops.Get(LogDrop::kUnwritten);
}

}  // namespace predictd
