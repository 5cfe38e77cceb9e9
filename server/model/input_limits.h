#ifndef PREDICTD_SERVER_MODEL_INPUT_LIMITS_H_
#define PREDICTD_SERVER_MODEL_INPUT_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "server/model/padding.h"
#include "server/model/tensor.h"

namespace predictd {

// What a model requires of the extents that its signature leaves open, except for the rows. Immutable, thread-safe.
struct InputLimits {
  // An extent of an input as the model sees it, which is after padding. It must equal factor * v + offset, where v is
  // an integer that all extents with the same `unknown` share, and must lie between `least` and `most`.
  struct Extent {
    size_t input = 0;
    size_t dimension = 0;
    // The padded length that it follows, if any.
    std::optional<size_t> length = {};
    size_t unknown = 0;
    int64_t factor = 1;
    int64_t offset = 0;
    int64_t least = 0;
    int64_t most = 0;
    // The smallest extent that is possible together with the other extents of the same unknown.
    int64_t smallest = 1;
    // The name that callers know it by: "tokens".
    std::string name = {};
  };
  std::vector<Extent> extents;

  // Sets the smallest extents that are possible together in an input's shape.
  void Raise(size_t input, absl::Span<int64_t> shape) const;

  // Empty if the inputs are within the limits. They must agree with the signature.
  std::vector<LengthError> Check(const Padding& padding, absl::Span<const Tensor> inputs) const;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_INPUT_LIMITS_H_
