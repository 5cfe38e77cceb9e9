#ifndef PREDICTD_SERVER_TELEMETRY_CALL_SPAN_H_
#define PREDICTD_SERVER_TELEMETRY_CALL_SPAN_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "server/telemetry/field.h"

namespace predictd {

// The trace span of one sampled call. It is made by Tracer::StartCall, owned by the call, and used by one thread at a
// time. It may outlive the tracer, and is then not exported. Nothing here blocks: finished spans go to a bounded queue.
// Strings are copied, made valid UTF-8 and cut at 2 KiB.
class CallSpan {
 public:
  // Ends a span that was not ended, as UNKNOWN.
  ~CallSpan();
  CallSpan(const CallSpan&) = delete;
  CallSpan& operator=(const CallSpan&) = delete;

  // The trace id as 32 lower-case hexadecimal digits; the view lives as long as the span.
  std::string_view trace_id() const;
  // The header by which others continue the trace below this span.
  std::string traceparent() const;

  void SetAttribute(std::string_view key, FieldValue value);

  // Adds an event that happens now. After 128 events further ones are only counted, in `predictd.dropped_events`.
  void AddEvent(std::string_view name);

  // Adds a finished child span for a part of the call: decode, queue, forward, respond.
  void AddPhase(std::string_view name, std::chrono::steady_clock::time_point start,
                std::chrono::steady_clock::time_point end, absl::Span<const Field> attributes = {});

  // Ends the call with its status. The span's own status is an error for the codes that are the server's fault; for the
  // others, the message is kept in `predictd.status_message`. Everything that is set or added afterwards is ignored.
  void End(int grpc_code, std::string_view message);

 private:
  friend class Tracer;
  struct Impl;
  explicit CallSpan(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_CALL_SPAN_H_
