#ifndef PREDICTD_SERVER_ENGINE_REQUEST_KEY_H_
#define PREDICTD_SERVER_ENGINE_REQUEST_KEY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "server/model/tensor.h"

namespace predictd {

// Stands for a version and the inputs that it gets: two requests have the same key only if they are the same, down to
// the last bit. A SHA-256, because callers choose the inputs: none may find two that collide and so plant an answer
// that another one gets.
using RequestKey = std::array<uint64_t, 4>;

// Inputs that take more bytes have no key. The hash runs on an event loop, which must not stop for longer: so many
// bytes are about 0.2 ms with the processor's SHA instructions.
inline constexpr size_t kMaxKeyedBytes = size_t{256} << 10;

// The key. `inputs` are in the signature's order; each counts with its type, rank, extents and elements. nullopt if
// they are too large, or if OpenSSL cannot hash.
std::optional<RequestKey> MakeRequestKey(int64_t version, absl::Span<const Tensor> inputs);

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_REQUEST_KEY_H_
