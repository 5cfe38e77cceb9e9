#include "server/telemetry/log.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "server/async/mutex.h"
#include "server/telemetry/log_format.h"
#include "server/telemetry/log_writer.h"

namespace predictd {
namespace {

// The process's logging. Leaked on purpose: destructors of static objects may still log.
struct Logging {
  std::atomic<LogLevel> level{LogLevel::kInfo};
  std::atomic<LogFormat> format{LogFormat::kText};

  Mutex mutex;
  std::unique_ptr<LogWriter> writer ABSL_GUARDED_BY(mutex);
  uint64_t dropped_by_former_writers ABSL_GUARDED_BY(mutex) = 0;
};

Logging& TheLogging() {
  static Logging* const logging = new Logging;
  return *logging;
}

}  // namespace

void InitLogging(const LogOptions& options) {
  ShutdownLogging();
  Logging& logging = TheLogging();
  logging.level.store(options.level, std::memory_order_relaxed);
  logging.format.store(options.format, std::memory_order_relaxed);
  auto writer = std::make_unique<LogWriter>(options.format);
  MutexLock lock(logging.mutex);
  logging.writer = std::move(writer);
}

void ShutdownLogging(absl::Duration timeout) {
  Logging& logging = TheLogging();
  std::unique_ptr<LogWriter> writer;
  {
    MutexLock lock(logging.mutex);
    writer = std::move(logging.writer);
  }
  if (writer == nullptr) return;
  writer->Stop(timeout);
  MutexLock lock(logging.mutex);
  logging.dropped_by_former_writers += writer->dropped();
}

bool LogEnabled(LogLevel level) {
  return level >= TheLogging().level.load(std::memory_order_relaxed);
}

void Log(LogLevel level, std::string_view message, absl::Span<const LogField> fields) {
  if (!LogEnabled(level)) return;
  Logging& logging = TheLogging();
  const std::string line = FormatLogLine(logging.format.load(std::memory_order_relaxed),
                                         std::chrono::system_clock::now(), level, message, fields);
  {
    MutexLock lock(logging.mutex);
    if (logging.writer != nullptr) {
      logging.writer->Enqueue(line);
      return;
    }
  }
  WriteToStderr(line);
}

uint64_t DroppedLogRecords() {
  Logging& logging = TheLogging();
  MutexLock lock(logging.mutex);
  return logging.dropped_by_former_writers + (logging.writer != nullptr ? logging.writer->dropped() : 0);
}

}  // namespace predictd
