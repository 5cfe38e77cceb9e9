#include "server/model/value_range.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "server/model/half_float.h"

namespace predictd {
namespace {

// How the bits of an element are compared: the halves as floats.
struct Fp16 {
  using Stored = uint16_t;
  static float Value(Stored bits) { return Fp16ToFloat(bits); }
};
struct Bf16 {
  using Stored = uint16_t;
  static float Value(Stored bits) { return Bf16ToFloat(bits); }
};
// The same order without a conversion, which costs 20 ns where the processor has no instruction for it.
struct Fp16Order {
  using Stored = uint16_t;
  static int32_t Value(Stored bits) {
    const int32_t magnitude = bits & 0x7fff;
    // What is no number is above infinity.
    return magnitude > 0x7c00 || (bits & 0x8000) == 0 ? magnitude : -magnitude;
  }
};
template <class T>
struct Plain {
  using Stored = T;
  static T Value(T value) { return value; }
};

// Calls `function` with how the type's elements are read; `otherwise` for types that have no order.
template <class Result, class Function>
Result WithReader(DType dtype, Result otherwise, Function function) {
  switch (dtype) {
    case DType::kUint8:
      return function(Plain<uint8_t>());
    case DType::kUint16:
      return function(Plain<uint16_t>());
    case DType::kUint32:
      return function(Plain<uint32_t>());
    case DType::kUint64:
      return function(Plain<uint64_t>());
    case DType::kInt8:
      return function(Plain<int8_t>());
    case DType::kInt16:
      return function(Plain<int16_t>());
    case DType::kInt32:
      return function(Plain<int32_t>());
    case DType::kInt64:
      return function(Plain<int64_t>());
    case DType::kFp16:
      return function(Fp16());
    case DType::kBf16:
      return function(Bf16());
    case DType::kFp32:
      return function(Plain<float>());
    case DType::kFp64:
      return function(Plain<double>());
    case DType::kBool:
    case DType::kBytes:
      break;
  }
  return otherwise;
}

template <class Reader>
auto Load(const std::byte* from) {
  typename Reader::Stored stored;
  // Elements of a message may lie anywhere.
  std::memcpy(&stored, from, sizeof(stored));
  return Reader::Value(stored);
}

template <class Value>
bool Inside(Value value, Value least, Value most) {
  return value >= least && value <= most;
}

// Whether any of N elements is outside. N is known, and there is no way out before the end, so that compilers look at
// several at once.
template <class Reader, size_t N, class Value>
bool AnyOutside(const std::byte* from, Value least, Value most) {
  uint8_t outside = 0;
  for (size_t i = 0; i < N; ++i) {
    const Value value = Load<Reader>(from + i * sizeof(typename Reader::Stored));
    outside |= static_cast<uint8_t>(!(value >= least)) | static_cast<uint8_t>(!(value <= most));
  }
  return outside != 0;
}

}  // namespace

bool HasRanges(DType dtype) {
  return WithReader(dtype, false, [](auto) { return true; });
}

bool IsRange(DType dtype, const ValueRange& range) {
  return InRange(dtype, range, range.least);
}

bool InRange(DType dtype, const ValueRange& range, const ElementBytes& element) {
  return WithReader(dtype, false, [&](auto reader) {
    using Reader = decltype(reader);
    return Inside(Load<Reader>(element.data()), Load<Reader>(range.least.data()), Load<Reader>(range.most.data()));
  });
}

std::optional<int64_t> FindOutside(const Tensor& tensor, const ValueRange& range) {
  return WithReader(tensor.dtype(), std::optional<int64_t>(), [&](auto reader) -> std::optional<int64_t> {
    using Reader = std::conditional_t<std::is_same_v<decltype(reader), Fp16>, Fp16Order, decltype(reader)>;
    constexpr int64_t kWidth = sizeof(typename Reader::Stored);
    constexpr int64_t kBlock = 256;
    const auto least = Load<Reader>(range.least.data());
    const auto most = Load<Reader>(range.most.data());
    int64_t i = 0;
    while (i + kBlock <= tensor.elements() && !AnyOutside<Reader, kBlock>(tensor.data() + i * kWidth, least, most)) {
      i += kBlock;
    }
    for (; i < tensor.elements(); ++i) {
      if (!Inside(Load<Reader>(tensor.data() + i * kWidth), least, most)) return i;
    }
    return std::nullopt;
  });
}

std::string ElementName(DType dtype, const std::byte* element) {
  return WithReader(dtype, std::string(), [element](auto reader) {
    const auto value = Load<decltype(reader)>(element);
    // As a number, not as a letter.
    if constexpr (sizeof(value) == 1) return absl::StrCat(static_cast<int>(value));
    return absl::StrCat(value);
  });
}

}  // namespace predictd
