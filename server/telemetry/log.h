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
};

// Starts the thread that writes records to stderr. From here on Log never waits for stderr: records wait in a queue of
// 8192 and 16 MiB, and when it is full the oldest of the lowest level are dropped, counted, and reported in the log
// once there is room. Called again, it first does what ShutdownLogging does.
void InitLogging(const LogOptions& options);

// Writes what is queued and ends the thread. Gives up on a stderr that nobody reads after `timeout`. Later records are
// written by the thread that logs them, as are those before InitLogging.
void ShutdownLogging(absl::Duration timeout = absl::Seconds(2));

// Whether a record of this level is written. Costs a relaxed load: ask before building expensive fields.
bool LogEnabled(LogLevel level);

// Logs one record, always as exactly one line of 8 KiB or less: line breaks, control characters and invalid UTF-8 in
// the message, in keys and in values are escaped or replaced, and overlong strings are cut. Callable from any thread.
//
//   Log(LogLevel::kInfo, "model loaded", {{"model", name}, {"version", 3}});
void Log(LogLevel level, std::string_view message, absl::Span<const LogField> fields = {});

// Whether a failure that callers can cause at will may have a record of its own, at that level: of each level, model
// and code the first ten in a second. The others are counted, and a record a second tells how many they were. Ask once
// for each failure.
bool AdmitFailure(LogLevel level, std::string_view model, std::string_view code);

// Why a record was not written: the queue was full, stderr took nothing or was broken, or AdmitFailure said no.
enum class LogDrop { kQueueFull, kUnwritten, kHeldBack };
inline constexpr size_t kLogDrops = 3;

// How many records were dropped since the process started; without a reason, those that Log was given.
uint64_t DroppedLogRecords(LogDrop reason, LogLevel level);
uint64_t DroppedLogRecords();

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_LOG_H_
