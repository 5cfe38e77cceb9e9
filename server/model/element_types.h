#ifndef PREDICTD_SERVER_MODEL_ELEMENT_TYPES_H_
#define PREDICTD_SERVER_MODEL_ELEMENT_TYPES_H_

#include <cmath>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "server/model/dtype.h"
#include "server/model/half_float.h"

namespace predictd {

// The one table of how elements of a fixed width are stored and what number they are. An element type has
//   Stored                     what lies in a tensor
//   Number                     what it means, and what messages have
//   Number Read(Stored)
//   optional<Stored> Write(Number)   nullopt if the type cannot hold the number; floats are rounded to the nearest

struct BoolElement {
  using Stored = uint8_t;
  using Number = bool;
  static Number Read(Stored byte) { return byte != 0; }
  static std::optional<Stored> Write(Number value) { return static_cast<Stored>(value); }
};

template <class T>
struct PlainElement {
  using Stored = T;
  using Number = T;
  static Number Read(Stored value) { return value; }
  static std::optional<Stored> Write(Number value) { return value; }
};

// A 16-bit floating-point format. What becomes infinite on the way was too large.
template <float (*kToFloat)(uint16_t), uint16_t (*kFromFloat)(float)>
struct HalfElement {
  using Stored = uint16_t;
  using Number = float;
  static Number Read(Stored bits) { return kToFloat(bits); }
  static std::optional<Stored> Write(Number value) {
    const Stored bits = kFromFloat(value);
    if (std::isfinite(value) && !std::isfinite(kToFloat(bits))) return std::nullopt;
    return bits;
  }
};
using Fp16Element = HalfElement<Fp16ToFloat, FloatToFp16>;
using Bf16Element = HalfElement<Bf16ToFloat, FloatToBf16>;

// Calls `visit` with an object of the element type and returns what that returns; for BYTES, whose elements have
// lengths of their own, returns `otherwise`.
template <class Result, class Visitor>
Result VisitElementType(DType dtype, Result otherwise, Visitor&& visit) {
  switch (dtype) {
    case DType::kBool:
      return visit(BoolElement());
    case DType::kUint8:
      return visit(PlainElement<uint8_t>());
    case DType::kUint16:
      return visit(PlainElement<uint16_t>());
    case DType::kUint32:
      return visit(PlainElement<uint32_t>());
    case DType::kUint64:
      return visit(PlainElement<uint64_t>());
    case DType::kInt8:
      return visit(PlainElement<int8_t>());
    case DType::kInt16:
      return visit(PlainElement<int16_t>());
    case DType::kInt32:
      return visit(PlainElement<int32_t>());
    case DType::kInt64:
      return visit(PlainElement<int64_t>());
    case DType::kFp16:
      return visit(Fp16Element());
    case DType::kBf16:
      return visit(Bf16Element());
    case DType::kFp32:
      return visit(PlainElement<float>());
    case DType::kFp64:
      return visit(PlainElement<double>());
    case DType::kBytes:
      break;
  }
  return otherwise;
}

inline bool IsFloat(DType dtype) {
  return VisitElementType(dtype, false,
                          [](auto type) { return std::is_floating_point_v<typename decltype(type)::Number>; });
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_ELEMENT_TYPES_H_
