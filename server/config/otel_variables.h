#ifndef PREDICTD_SERVER_CONFIG_OTEL_VARIABLES_H_
#define PREDICTD_SERVER_CONFIG_OTEL_VARIABLES_H_

#include <map>
#include <string>
#include <vector>

namespace predictd {

// Adds to `settings` (options by name) what OpenTelemetry's own environment variables say about traces, unless the
// option is set. `environment` is like environ. These variables are often set for all programs of a machine, so a
// mistake in them is no error: returns, for the log, what is ignored.
//
//   OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER                      whether spans are exported
//   OTEL_EXPORTER_OTLP_ENDPOINT, _INSECURE, _PROTOCOL, _TIMEOUT  where to (each also as OTEL_EXPORTER_OTLP_TRACES_...)
//   OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG                 which calls are traced
//
// An endpoint alone is enough to export. OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and the exporter's headers,
// certificates and compression are read by OpenTelemetry's library itself.
std::vector<std::string> AddOtelSettings(const char* const* environment, std::map<std::string, std::string>& settings);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_OTEL_VARIABLES_H_
