#ifndef PREDICTD_SERVER_TELEMETRY_SPAN_COUNTS_H_
#define PREDICTD_SERVER_TELEMETRY_SPAN_COUNTS_H_

#include <atomic>
#include <cstdint>

namespace predictd {

// What became of the spans since the tracer was made. Lock-free, for any thread.
struct SpanCounts {
  // Calls whose traceparent asked for a trace when no more of them were taken in that second.
  std::atomic<uint64_t> calls_over_limit{0};
  // Spans that ended when as many were waiting as may wait.
  std::atomic<uint64_t> queue_full{0};
  // Spans that could not be sent or written.
  std::atomic<uint64_t> not_exported{0};
  std::atomic<uint64_t> exported{0};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_SPAN_COUNTS_H_
