#ifndef PREDICTD_SERVER_ENGINE_INFERENCE_H_
#define PREDICTD_SERVER_ENGINE_INFERENCE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/async/clock.h"
#include "server/async/stop.h"
#include "server/model/tensor.h"
#include "server/model/waiting_order.h"

namespace predictd {

// What to compute, validated against the model's signature.
struct InferenceRequest {
  // In the signature's order. They keep their memory alive, also when the caller has gone while a batch still reads it.
  std::vector<Tensor> inputs;
  // Rows of a batched model; 1 for others.
  int64_t rows = 1;
  // When the answer is worth nothing any more. Orders the queue.
  TimePoint deadline = kNever;
  int64_t priority = kDefaultPriority;
};

// Of the elements of all inputs.
int64_t InputBytes(const InferenceRequest& request);

// When things happened to a request, for trailers and spans.
struct InferenceTimings {
  TimePoint enqueued;
  TimePoint started;
  TimePoint ended;
  // Rows of all requests that ran together.
  int64_t batch_rows = 0;
};

struct InferenceResult {
  // In the signature's order.
  std::vector<Tensor> outputs;
  InferenceTimings timings;
};

// The status of work that was stopped; `where` it was ("the queue") is part of the message. Without memory for the
// message there is none.
absl::Status StopStatus(StopReason reason, absl::string_view where) noexcept;

// RESOURCE_EXHAUSTED: there was no memory for the request. Allocates nothing but in its first call.
absl::Status OutOfMemoryStatus();

// The status of work that ended with an exception, to be called where one is handled. Never throws.
absl::Status StatusOfException() noexcept;

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_INFERENCE_H_
