#ifndef PREDICTD_SERVER_TELEMETRY_COUNTING_PROCESSOR_H_
#define PREDICTD_SERVER_TELEMETRY_COUNTING_PROCESSOR_H_

#include <opentelemetry/sdk/trace/processor.h>

#include <cstddef>
#include <memory>

#include "absl/time/time.h"
#include "server/telemetry/span_counts.h"
#include "server/telemetry/span_exporter.h"

namespace predictd {

struct SpanBatching {
  // How many ended spans may wait, including those of the batch that is being exported.
  size_t max_waiting = 8192;
  size_t max_batch = 512;
  absl::Duration delay;
};

// Makes OpenTelemetry's batching processor with a count of every span that ends; the library's own only logs that it
// has dropped one. Private to the telemetry library.
std::unique_ptr<opentelemetry::sdk::trace::SpanProcessor> MakeCountingProcessor(
    std::unique_ptr<CancellableExporter> exporter, const SpanBatching& batching, std::shared_ptr<SpanCounts> counts);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_COUNTING_PROCESSOR_H_
