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
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_MODEL_H_
