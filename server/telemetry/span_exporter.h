#ifndef PREDICTD_SERVER_TELEMETRY_SPAN_EXPORTER_H_
#define PREDICTD_SERVER_TELEMETRY_SPAN_EXPORTER_H_

#include <opentelemetry/sdk/trace/exporter.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace predictd {

// An OpenTelemetry exporter whose work can be cut short. The library's own exporters cannot, and its batch processor
// exports everything in its queue at shutdown, however long that takes. Private to the telemetry library.
class CancellableExporter : public opentelemetry::sdk::trace::SpanExporter {
 public:
  // Makes all exports that have not begun fail at once. Any thread may call it.
  virtual void Cancel() = 0;
};

// Makes an exporter that sends batches to an OTLP/gRPC collector. A batch takes `timeout` at the most, including
// retries. Returns INVALID_ARGUMENT if `endpoint` is not http(s)://host:port.
absl::StatusOr<std::unique_ptr<CancellableExporter>> MakeOtlpGrpcExporter(const std::string& endpoint,
                                                                          absl::Duration timeout);

struct TraceFile {
  std::string path;
  // A batch that would make the file larger goes into a new one.
  int64_t max_bytes = 0;
  // How many full files are kept, as PATH.1 (the latest) to PATH.N.
  int older_files = 0;
};

// Makes an exporter that appends batches to a regular file in OTLP's JSON encoding. A missing file is made. Returns
// UNAVAILABLE if the file cannot be opened, and INVALID_ARGUMENT if it is not a regular file.
absl::StatusOr<std::unique_ptr<CancellableExporter>> MakeFileExporter(const TraceFile& file);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_SPAN_EXPORTER_H_
