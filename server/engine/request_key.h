#ifndef PREDICTD_SERVER_ENGINE_REQUEST_KEY_H_
#define PREDICTD_SERVER_ENGINE_REQUEST_KEY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "server/model/tensor.h"

namespace predictd {

// Identifies a version and its inputs: two requests have the same key only if they are equal to the last bit. It is a
// SHA-256, because callers choose the inputs: nobody may find two that collide and thereby plant an answer that another
// caller gets.
using RequestKey = std::array<uint64_t, 4>;

// Larger inputs have no key. The hash runs on an event loop, which must not block for longer: this many bytes take
// about 0.2 ms with the processor's SHA instructions.
inline constexpr size_t kMaxKeyedBytes = size_t{256} << 10;

// `inputs` are in the signature's order; each counts with its type, rank, extents and elements. nullopt if they are too
// large or if OpenSSL cannot hash.
std::optional<RequestKey> MakeRequestKey(int64_t version, absl::Span<const Tensor> inputs);

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_REQUEST_KEY_H_
