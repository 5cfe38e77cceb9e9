#include "server/rpc/library_log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <string>

#include "server/telemetry/library_log.h"
#include "server/telemetry/log.h"

namespace predictd {
namespace {

constexpr char kProblem[] = "a library reports a problem";

void OnGrpcLog(gpr_log_func_args* record) {
  static LibraryLog log("grpc");
  if (record->severity == GPR_LOG_SEVERITY_ERROR) {
    log.Report(LogLevel::kWarning, kProblem, record->message);
    return;
  }
  // Such records come only if somebody has asked for them, by GRPC_VERBOSITY.
  Log(record->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kInfo : LogLevel::kDebug, "a library reports",
      {{"library", "grpc"}, {"detail", record->message}});
}

void OnProtobufLog(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/, const std::string& message) {
  static LibraryLog log("protobuf");
  log.Report(level >= google::protobuf::LOGLEVEL_FATAL ? LogLevel::kError : LogLevel::kWarning, kProblem, message);
}

}  // namespace

void RouteLibraryLogs() {
  gpr_set_log_function(OnGrpcLog);
  google::protobuf::SetLogHandler(OnProtobufLog);
}

}  // namespace predictd
