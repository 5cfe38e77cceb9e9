#include "server/telemetry/otel_log.h"

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/sdk/common/global_log_handler.h>

#include <array>
#include <chrono>
#include <optional>

#include "server/telemetry/log_limiter.h"

namespace predictd {
namespace {

namespace internal_log = opentelemetry::sdk::common::internal_log;

class LogHandler final : public internal_log::LogHandler {
 public:
  void Handle(internal_log::LogLevel level, const char* /*file*/, int /*line*/, const char* message,
              const opentelemetry::sdk::common::AttributeMap& /*attributes*/) noexcept override {
    const LogLevel as = level == internal_log::LogLevel::Error ? LogLevel::kError : LogLevel::kWarning;
    LogTracingProblem(as, "OpenTelemetry reports a problem", message == nullptr ? "" : message);
  }
};

}  // namespace

void LogTracingProblem(LogLevel level, std::string_view message, std::string_view detail) {
  static LogLimiter limiter(10, std::chrono::minutes(1));
  const std::optional<uint64_t> held_back = limiter.Admit(std::chrono::steady_clock::now());
  if (!held_back.has_value()) return;
  std::array<LogField, 2> fields{LogField{"detail", detail}, LogField{"held_back", *held_back}};
  Log(level, message, absl::MakeConstSpan(fields).first(*held_back > 0 ? 2 : 1));
}

void RouteOtelLog() {
  internal_log::GlobalLogHandler::SetLogHandler(
      opentelemetry::nostd::shared_ptr<internal_log::LogHandler>(new LogHandler));
  internal_log::GlobalLogHandler::SetLogLevel(internal_log::LogLevel::Warning);
}

}  // namespace predictd
