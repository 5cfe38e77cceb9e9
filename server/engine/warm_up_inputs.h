#ifndef PREDICTD_SERVER_ENGINE_WARM_UP_INPUTS_H_
#define PREDICTD_SERVER_ENGINE_WARM_UP_INPUTS_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "server/model/signature.h"
#include "server/model/tensor.h"

namespace predictd {

// Makes the inputs of batches that nobody asked for, as model.toml says. The signature outlives it. Immutable.
class WarmUpInputs {
 public:
  // Open dimensions whose extent is unknown get `open_extent`, raised to the model's limits.
  WarmUpInputs(const Signature& signature, int64_t open_extent) : signature_(signature), open_extent_(open_extent) {}

  // How many different batches of a size there are; at least 1.
  size_t samples() const;
  // What the sample says about the input.
  const WarmUpInput& Of(size_t sample, size_t input) const;

  // An input's shape with so many rows; `lengths` has one for each of the signature's padded lengths.
  Shape ShapeOf(size_t sample, size_t input, int64_t rows, absl::Span<const int64_t> lengths) const;
  // The elements of all inputs together, or a large number; at least 1.
  int64_t Elements(size_t sample, int64_t rows, absl::Span<const int64_t> lengths) const;
  // Whether an extent is unknown.
  bool HasOpenExtent(absl::Span<const int64_t> lengths) const;

  // An input with what the sample has for it, from its row or value `first` on, repeated. If it has nothing, the input
  // holds zeros, or the least allowed value if its range excludes zero.
  Tensor Make(size_t sample, size_t input, int64_t rows, absl::Span<const int64_t> lengths, size_t first = 0) const;

 private:
  const Signature& signature_;
  const int64_t open_extent_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_WARM_UP_INPUTS_H_
