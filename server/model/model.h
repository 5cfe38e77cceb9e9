#ifndef PREDICTD_SERVER_MODEL_MODEL_H_
#define PREDICTD_SERVER_MODEL_MODEL_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/tensor.h"

namespace predictd {

// A loaded version of a tensor model, whatever runs it. Thread-safe.
class Model {
 public:
  virtual ~Model() = default;

  // Computes on this thread. `inputs` are in the signature's order and agree with it; so must be the outputs, which the
  // caller checks. Never throws: whatever goes wrong inside is INTERNAL with the cause (not for callers' eyes).
  virtual absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) = 0;

  // Whether how long a run takes is known from its inputs' shapes, whatever their elements: nothing else runs on an
  // event loop. What cannot be told is not known.
  virtual bool cost_depends_on_shapes_only() const { return false; }
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_MODEL_H_
