#ifndef PREDICTD_SERVER_TELEMETRY_CALL_SPAN_IMPL_H_
#define PREDICTD_SERVER_TELEMETRY_CALL_SPAN_IMPL_H_

#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/tracer.h>

#include <array>
#include <chrono>

#include "server/telemetry/call_span.h"

namespace predictd {

// The OpenTelemetry side of a CallSpan. Private to the telemetry library.
struct CallSpan::Impl {
  opentelemetry::nostd::shared_ptr<opentelemetry::trace::Tracer> tracer;
  opentelemetry::nostd::shared_ptr<opentelemetry::trace::Span> span;
  // Both clocks at the call's start. Every later time is read from the steady clock and placed relative to these.
  std::chrono::system_clock::time_point start_system;
  std::chrono::steady_clock::time_point start_steady;
  std::array<char, 32> trace_id{};
  int events = 0;
  int dropped_events = 0;
  bool ended = false;

  std::chrono::system_clock::time_point ToSystem(std::chrono::steady_clock::time_point time) const {
    return start_system + std::chrono::duration_cast<std::chrono::system_clock::duration>(time - start_steady);
  }
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_CALL_SPAN_IMPL_H_
