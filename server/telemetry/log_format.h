#ifndef PREDICTD_SERVER_TELEMETRY_LOG_FORMAT_H_
#define PREDICTD_SERVER_TELEMETRY_LOG_FORMAT_H_

#include <chrono>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "server/telemetry/log.h"

namespace predictd {

// The line for a record, with its line break and no other. JSON:
//   {"ts":"2026-01-02T03:04:05.123456Z","level":"info","msg":"ready","port":8500}
// Text:
//   2026-01-02T03:04:05.123456Z INFO  ready port=8500 host="a b"
// Messages are cut at 4 KiB, keys at 128 bytes, string values at 2 KiB, as they stand in the line, and all strings
// where the line has 7 KiB; a cut string ends in an ellipsis.
std::string FormatLogLine(LogFormat format, std::chrono::system_clock::time_point time, LogLevel level,
                          std::string_view message, absl::Span<const LogField> fields);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_LOG_FORMAT_H_
