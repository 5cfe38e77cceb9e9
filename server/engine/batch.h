#ifndef PREDICTD_SERVER_ENGINE_BATCH_H_
#define PREDICTD_SERVER_ENGINE_BATCH_H_

#include <memory>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "server/engine/batch_buffers.h"
#include "server/engine/inference.h"
#include "server/engine/job.h"
#include "server/model/signature.h"

namespace predictd {

// Requests of one batched model can run together if their keys are equal. A key holds all extents but the first of each
// input, as they are after padding, and which of the optional inputs are present. Only what the signature leaves open
// counts, so most models have one key.
using BatchKey = absl::InlinedVector<int64_t, 4>;
BatchKey KeyOf(const InferenceRequest& request, const Signature& signature);

// The model's arguments: the masks, and the inputs of all jobs, padded and stacked along the first dimension in memory
// of `buffers`. A single job's input is passed on without a copy, unless it is padded or is not aligned well enough for
// vector loads. The jobs must be able to share a batch.
std::vector<Tensor> StackInputs(absl::Span<const std::shared_ptr<Job>> jobs, const Padding& padding,
                                BatchBuffers& buffers);

// The rows [first, first + rows) of each output. They share the outputs' memory.
std::vector<Tensor> SliceRows(absl::Span<const Tensor> tensors, int64_t first, int64_t rows);

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_BATCH_H_
