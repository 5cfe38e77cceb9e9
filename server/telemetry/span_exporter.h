#ifndef PREDICTD_SERVER_TELEMETRY_SPAN_EXPORTER_H_
#define PREDICTD_SERVER_TELEMETRY_SPAN_EXPORTER_H_

#include <opentelemetry/sdk/trace/exporter.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace predictd {

// Private to the telemetry library: an OpenTelemetry exporter whose work can be cut short. The library's own cannot,
// and its batch processor exports everything in its queue at shutdown, however long that takes.
class CancellableExporter : public opentelemetry::sdk::trace::SpanExporter {
 public:
  // Makes all exports that have not begun fail at once. Any thread.
  virtual void Cancel() = 0;
};

// Sends batches to an OTLP/gRPC collector. A batch takes `timeout` at the most, retries included.
// INVALID_ARGUMENT when `endpoint` is not http(s)://host:port.
absl::StatusOr<std::unique_ptr<CancellableExporter>> MakeOtlpGrpcExporter(const std::string& endpoint,
                                                                          absl::Duration timeout);

struct TraceFile {
  std::string path;
  // A batch that would make the file larger goes into a new one.
  int64_t max_bytes = 0;
  // How many full ones stay, as PATH.1 (the latest) to PATH.N.
  int older_files = 0;
};

// Appends batches to a regular file, made when missing, in OTLP's JSON encoding. UNAVAILABLE when it cannot be opened,
// INVALID_ARGUMENT when it is not a regular file.
absl::StatusOr<std::unique_ptr<CancellableExporter>> MakeFileExporter(const TraceFile& file);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_SPAN_EXPORTER_H_
