#include "server/services/chunk_size.h"

#include <algorithm>
#include <type_traits>

#include "server/model/element_types.h"

namespace predictd {
namespace {

// gRPC's default limit in all languages, less what a result contains besides its elements.
constexpr int64_t kMostBytes = (int64_t{4} << 20) - (int64_t{64} << 10);

// The most bytes that an element can take in a message; for a string, the least.
int64_t ElementBytesIn(DType dtype, Encoding encoding) {
  if (dtype == DType::kBytes) return encoding == Encoding::kRaw ? 4 : 2;
  const auto width = static_cast<int64_t>(ByteWidth(dtype));
  if (encoding == Encoding::kRaw) return width;
  return VisitElementType(dtype, width, [width](auto type) {
    using Number = typename decltype(type)::Number;
    if constexpr (std::is_same_v<Number, bool>) {
      return int64_t{1};
    } else if constexpr (std::is_floating_point_v<Number>) {
      return static_cast<int64_t>(sizeof(Number));
    } else {
      // Each byte of a varint has seven of the bits.
      return (8 * width + 6) / 7;
    }
  });
}

int64_t RowBytes(const Signature& signature, absl::Span<const Tensor> inputs, int output, Encoding encoding) {
  const TensorSpec& spec = signature.outputs[static_cast<size_t>(output)];
  Shape row = spec.shape;
  for (const PaddedOutput& padded : signature.padding.outputs) {
    if (padded.output != static_cast<size_t>(output)) continue;
    row[padded.dimension] = RequestLength(signature.padding.lengths[padded.length], inputs);
  }
  std::replace(row.begin(), row.end(), int64_t{-1}, int64_t{1});
  return std::min(ElementCount(row).value_or(kMostBytes), kMostBytes) * ElementBytesIn(spec.dtype, encoding);
}

}  // namespace

int64_t DefaultChunkRows(const Signature& signature, absl::Span<const Tensor> inputs, absl::Span<const int> outputs,
                         Encoding encoding) {
  int64_t bytes = 1;
  for (const int output : outputs) bytes += RowBytes(signature, inputs, output, encoding);
  return std::clamp<int64_t>(kMostBytes / bytes, 1, signature.max_batch_size);
}

}  // namespace predictd
