#ifndef PREDICTD_SERVER_TELEMETRY_LOG_H_
#define PREDICTD_SERVER_TELEMETRY_LOG_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/telemetry/field.h"

namespace predictd {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
inline constexpr size_t kLogLevels = 4;
enum class LogFormat { kText, kJson };

using LogField = Field;

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  // Whether what others in the process write to stderr becomes records, too. Only a few lines do, because a model or a
  // caller may cause them without end.
  bool capture_stderr = false;
};

// Starts the thread that writes records to stderr. From then on Log never waits for stderr: records wait in a queue of
// 8192 records and 16 MiB. When it is full, the oldest records of the lowest level are dropped, counted, and reported
// in the log once there is room. A further call first does what ShutdownLogging does.
void InitLogging(const LogOptions& options);

// Writes what is queued, gives stderr back and ends the threads. If nobody reads stderr, it gives up after `timeout`.
// Later records are written by the thread that logs them, as are records before InitLogging.
void ShutdownLogging(absl::Duration timeout = absl::Seconds(2));

// Returns whether a record of this level is written. It costs a relaxed load, so ask before building expensive fields.
bool LogEnabled(LogLevel level);

// Logs one record, always as exactly one line of 8 KiB or less: line breaks, control characters and invalid UTF-8 in
// the message, in keys and in values are escaped or replaced, and overlong strings are cut. Callable from any thread.
//
//   Log(LogLevel::kInfo, "model loaded", {{"model", name}, {"version", 3}});
void Log(LogLevel level, std::string_view message, absl::Span<const LogField> fields = {});

// Returns whether a failure that callers can cause at will may have a record of its own at that level: for each level,
// model and code the first ten in a second may. The others are counted, and one record a second says how many there
// were. Ask once for each failure.
bool AdmitFailure(LogLevel level, std::string_view model, std::string_view code);

// Why a record was not written: the queue was full, stderr took nothing or was broken, or AdmitFailure refused it.
enum class LogDrop { kQueueFull, kUnwritten, kHeldBack };
inline constexpr size_t kLogDrops = 3;

// How many records were dropped since the process started. Without a reason, it counts the records that were given to
// Log.
uint64_t DroppedLogRecords(LogDrop reason, LogLevel level);
uint64_t DroppedLogRecords();

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_LOG_H_
