#ifndef PREDICTD_SERVER_TELEMETRY_OTEL_LOG_H_
#define PREDICTD_SERVER_TELEMETRY_OTEL_LOG_H_

#include <string_view>

#include "server/telemetry/log.h"

namespace predictd {

// Logs what tracing has to say about its own failures, at most ten records a minute: a collector that is down would
// repeat itself with every batch and every dropped span. Any thread.
void LogTracingProblem(LogLevel level, std::string_view message, std::string_view detail = {});

// Sends the warnings and errors of the OpenTelemetry library, which it prints to stdout by default, there too.
void RouteOtelLog();

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_OTEL_LOG_H_
