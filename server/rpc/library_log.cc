#include "server/rpc/library_log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>

#include "server/telemetry/log.h"
#include "server/telemetry/log_limiter.h"

namespace predictd {
namespace {

void LogProblem(LogLevel level, std::string_view library, std::string_view detail) {
  static LogLimiter limiter(10, std::chrono::minutes(1));
  const std::optional<uint64_t> held_back = limiter.Admit(std::chrono::steady_clock::now());
  if (!held_back.has_value()) return;
  const std::array<Field, 3> fields{Field{"library", library}, Field{"detail", detail}, Field{"held_back", *held_back}};
  Log(level, "a library reports a problem", absl::MakeConstSpan(fields).first(*held_back > 0 ? 3 : 2));
}

void OnGrpcLog(gpr_log_func_args* record) {
  if (record->severity != GPR_LOG_SEVERITY_ERROR) return;
  LogProblem(LogLevel::kWarning, "grpc", record->message);
}

void OnProtobufLog(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/, const std::string& message) {
  LogProblem(level >= google::protobuf::LOGLEVEL_FATAL ? LogLevel::kError : LogLevel::kWarning, "protobuf", message);
}

}  // namespace

void RouteLibraryLogs() {
  gpr_set_log_function(OnGrpcLog);
  google::protobuf::SetLogHandler(OnProtobufLog);
}

}  // namespace predictd
