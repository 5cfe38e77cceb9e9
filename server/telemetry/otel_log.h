#ifndef PREDICTD_SERVER_TELEMETRY_OTEL_LOG_H_
#define PREDICTD_SERVER_TELEMETRY_OTEL_LOG_H_

#include <string_view>

#include "server/telemetry/log.h"

namespace predictd {

// Logs a failure of tracing itself, at most ten records a minute: a collector that is down would cause one with every
// batch and every dropped span. Any thread may call it.
void LogTracingProblem(LogLevel level, std::string_view message, std::string_view detail = {});

// Also sends the warnings and errors of the OpenTelemetry library there, which it prints to stdout by default.
void RouteOtelLog();

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_OTEL_LOG_H_
