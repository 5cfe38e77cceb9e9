// The element types of the protocol: their names, widths and C++ types.
#ifndef PREDICTD_CLIENT_DATA_TYPE_H_
#define PREDICTD_CLIENT_DATA_TYPE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "client/half_float.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {
inline namespace client {

// "FP32", "BYTES", ...; "?" for a type that this client does not know.
absl::string_view DataTypeName(v1::DataType type);

// The number of bytes of one element in the raw encoding; 0 for BYTES (variable) and for unknown types.
std::size_t DataTypeWidth(v1::DataType type);

// The protocol's type for a C++ element type.
template <typename T>
inline constexpr v1::DataType kDataTypeOf = v1::DATA_TYPE_UNSPECIFIED;
template <>
inline constexpr v1::DataType kDataTypeOf<bool> = v1::DATA_TYPE_BOOL;
template <>
inline constexpr v1::DataType kDataTypeOf<std::uint8_t> = v1::DATA_TYPE_UINT8;
template <>
inline constexpr v1::DataType kDataTypeOf<std::uint16_t> = v1::DATA_TYPE_UINT16;
template <>
inline constexpr v1::DataType kDataTypeOf<std::uint32_t> = v1::DATA_TYPE_UINT32;
template <>
inline constexpr v1::DataType kDataTypeOf<std::uint64_t> = v1::DATA_TYPE_UINT64;
template <>
inline constexpr v1::DataType kDataTypeOf<std::int8_t> = v1::DATA_TYPE_INT8;
template <>
inline constexpr v1::DataType kDataTypeOf<std::int16_t> = v1::DATA_TYPE_INT16;
template <>
inline constexpr v1::DataType kDataTypeOf<std::int32_t> = v1::DATA_TYPE_INT32;
template <>
inline constexpr v1::DataType kDataTypeOf<std::int64_t> = v1::DATA_TYPE_INT64;
template <>
inline constexpr v1::DataType kDataTypeOf<Half> = v1::DATA_TYPE_FP16;
template <>
inline constexpr v1::DataType kDataTypeOf<BFloat16> = v1::DATA_TYPE_BF16;
template <>
inline constexpr v1::DataType kDataTypeOf<float> = v1::DATA_TYPE_FP32;
template <>
inline constexpr v1::DataType kDataTypeOf<double> = v1::DATA_TYPE_FP64;

// The element whose raw encoding begins at `bytes`. For BOOL every byte but 0 is true, as in NumPy: a C++ bool that was
// copied from another byte than 0 and 1 would be neither.
template <typename T>
T LoadElement(const char* bytes) {
  if constexpr (std::is_same_v<T, bool>) {
    return *bytes != 0;
  } else {
    T element{};
    std::memcpy(&element, bytes, sizeof(T));
    return element;
  }
}

template <typename T>
inline constexpr bool kIsHalfWidth = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

// Calls visit(std::type_identity<T>{}) with the C++ type of a fixed-width element type, and returns true. For BYTES and
// unknown types it returns false without calling.
template <typename Visitor>
bool VisitFixedWidth(v1::DataType type, Visitor&& visit) {
  switch (type) {
    case v1::DATA_TYPE_BOOL:
      return visit(std::type_identity<bool>{}), true;
    case v1::DATA_TYPE_UINT8:
      return visit(std::type_identity<std::uint8_t>{}), true;
    case v1::DATA_TYPE_UINT16:
      return visit(std::type_identity<std::uint16_t>{}), true;
    case v1::DATA_TYPE_UINT32:
      return visit(std::type_identity<std::uint32_t>{}), true;
    case v1::DATA_TYPE_UINT64:
      return visit(std::type_identity<std::uint64_t>{}), true;
    case v1::DATA_TYPE_INT8:
      return visit(std::type_identity<std::int8_t>{}), true;
    case v1::DATA_TYPE_INT16:
      return visit(std::type_identity<std::int16_t>{}), true;
    case v1::DATA_TYPE_INT32:
      return visit(std::type_identity<std::int32_t>{}), true;
    case v1::DATA_TYPE_INT64:
      return visit(std::type_identity<std::int64_t>{}), true;
    case v1::DATA_TYPE_FP16:
      return visit(std::type_identity<Half>{}), true;
    case v1::DATA_TYPE_BF16:
      return visit(std::type_identity<BFloat16>{}), true;
    case v1::DATA_TYPE_FP32:
      return visit(std::type_identity<float>{}), true;
    case v1::DATA_TYPE_FP64:
      return visit(std::type_identity<double>{}), true;
    default:
      return false;
  }
}

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_DATA_TYPE_H_
