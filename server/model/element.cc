#include "server/model/element.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "server/model/half_float.h"

namespace predictd {
namespace {

template <class T>
ElementBytes BytesOf(T value) {
  ElementBytes bytes{};
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

template <class Integer>
std::optional<ElementBytes> IntegerOf(int64_t value) {
  if (!std::in_range<Integer>(value)) return std::nullopt;
  return BytesOf(static_cast<Integer>(value));
}

// What became infinite on the way was too large.
template <class Bits>
std::optional<ElementBytes> UnlessOverflown(double value, double stored, Bits bits) {
  if (std::isfinite(value) && !std::isfinite(stored)) return std::nullopt;
  return BytesOf(bits);
}

}  // namespace

std::optional<ElementBytes> ToElement(DType dtype, int64_t value) {
  switch (dtype) {
    case DType::kBool:
      return value == 0 || value == 1 ? IntegerOf<uint8_t>(value) : std::nullopt;
    case DType::kUint8:
      return IntegerOf<uint8_t>(value);
    case DType::kUint16:
      return IntegerOf<uint16_t>(value);
    case DType::kUint32:
      return IntegerOf<uint32_t>(value);
    case DType::kUint64:
      return IntegerOf<uint64_t>(value);
    case DType::kInt8:
      return IntegerOf<int8_t>(value);
    case DType::kInt16:
      return IntegerOf<int16_t>(value);
    case DType::kInt32:
      return IntegerOf<int32_t>(value);
    case DType::kInt64:
      return IntegerOf<int64_t>(value);
    case DType::kFp16:
    case DType::kBf16:
    case DType::kFp32:
    case DType::kFp64:
      return ToElement(dtype, static_cast<double>(value));
    case DType::kBytes:
      break;
  }
  return std::nullopt;
}

std::optional<ElementBytes> ToElement(DType dtype, double value) {
  const auto single = static_cast<float>(value);
  switch (dtype) {
    case DType::kFp16: {
      const uint16_t bits = FloatToFp16(single);
      return UnlessOverflown(value, Fp16ToFloat(bits), bits);
    }
    case DType::kBf16: {
      const uint16_t bits = FloatToBf16(single);
      return UnlessOverflown(value, Bf16ToFloat(bits), bits);
    }
    case DType::kFp32:
      return UnlessOverflown(value, single, single);
    case DType::kFp64:
      return BytesOf(value);
    default:
      // 2^53: from there on a double no longer tells neighbouring integers apart.
      if (std::trunc(value) != value || std::abs(value) > 9007199254740992.0) return std::nullopt;
      return ToElement(dtype, static_cast<int64_t>(value));
  }
}

}  // namespace predictd
