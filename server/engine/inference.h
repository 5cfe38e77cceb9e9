#ifndef PREDICTD_SERVER_ENGINE_INFERENCE_H_
#define PREDICTD_SERVER_ENGINE_INFERENCE_H_

#include <cstdint>
#include <vector>

#include "server/async/clock.h"
#include "server/model/tensor.h"
#include "server/model/waiting_order.h"

namespace predictd {

// A request, validated against the model's signature.
struct InferenceRequest {
  // In the signature's order. The tensors keep their memory alive, even when the caller has gone while a batch still
  // reads it.
  std::vector<Tensor> inputs;
  // The number of rows for a batched model; 1 for others.
  int64_t rows = 1;
  // After this time the answer is worthless. Orders the queue.
  TimePoint deadline = kNever;
  int64_t priority = kDefaultPriority;
};

// The size of the elements of all inputs.
int64_t InputBytes(const InferenceRequest& request);

// The times of a request's stages, for trailers and spans.
struct InferenceTimings {
  TimePoint enqueued;
  TimePoint started;
  TimePoint ended;
  // Rows of all requests in the same batch.
  int64_t batch_rows = 0;
};

struct InferenceResult {
  // In the signature's order.
  std::vector<Tensor> outputs;
  InferenceTimings timings;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_INFERENCE_H_
