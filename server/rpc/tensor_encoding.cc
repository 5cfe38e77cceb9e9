#include "server/rpc/tensor_encoding.h"

#include <google/protobuf/wire_format_lite.h>

#include <bit>
#include <climits>
#include <cstdint>

#include "server/model/half_float.h"

namespace predictd {
namespace {

template <class Narrow, class Field, class Convert>
void Widen(const Tensor& tensor, Field& field, Convert convert) {
  const auto* values = reinterpret_cast<const Narrow*>(tensor.data());
  field.Reserve(static_cast<int>(tensor.elements()));
  for (int64_t i = 0; i < tensor.elements(); ++i) field.AddAlreadyReserved(convert(values[i]));
}

template <class Element, class Field>
void CopyValues(const Tensor& tensor, Field& field) {
  Widen<Element>(tensor, field, [](Element value) { return value; });
}

void EncodeTyped(const Tensor& tensor, v1::Tensor& m) {
  switch (tensor.dtype()) {
    case DType::kBool:
      return Widen<uint8_t>(tensor, *m.mutable_bool_values(), [](uint8_t value) { return value != 0; });
    case DType::kUint8:
      return CopyValues<uint8_t>(tensor, *m.mutable_uint_values());
    case DType::kUint16:
      return CopyValues<uint16_t>(tensor, *m.mutable_uint_values());
    case DType::kUint32:
      return CopyValues<uint32_t>(tensor, *m.mutable_uint_values());
    case DType::kUint64:
      return CopyValues<uint64_t>(tensor, *m.mutable_uint64_values());
    case DType::kInt8:
      return CopyValues<int8_t>(tensor, *m.mutable_int_values());
    case DType::kInt16:
      return CopyValues<int16_t>(tensor, *m.mutable_int_values());
    case DType::kInt32:
      return CopyValues<int32_t>(tensor, *m.mutable_int_values());
    case DType::kInt64:
      return CopyValues<int64_t>(tensor, *m.mutable_int64_values());
    case DType::kFp16:
      return Widen<uint16_t>(tensor, *m.mutable_float_values(), Fp16ToFloat);
    case DType::kBf16:
      return Widen<uint16_t>(tensor, *m.mutable_float_values(), Bf16ToFloat);
    case DType::kFp32:
      return CopyValues<float>(tensor, *m.mutable_float_values());
    case DType::kFp64:
      return CopyValues<double>(tensor, *m.mutable_double_values());
    case DType::kBytes:
      for (const std::string& string : tensor.strings()) m.add_bytes_values(string);
  }
}

// How many bytes the elements take as varints.
template <class Element, class ToVarint>
int64_t VarintBytes(const Tensor& tensor, ToVarint to_varint) {
  const auto* values = reinterpret_cast<const Element*>(tensor.data());
  int64_t bytes = 0;
  // Each byte has seven of the bits.
  for (int64_t i = 0; i < tensor.elements(); ++i) bytes += (std::bit_width(to_varint(values[i]) | 1) + 6) / 7;
  return bytes;
}

template <class Unsigned>
int64_t UnsignedBytes(const Tensor& tensor) {
  return VarintBytes<Unsigned>(tensor, [](Unsigned value) { return uint64_t{value}; });
}

template <class Signed>
int64_t ZigZagBytes(const Tensor& tensor) {
  return VarintBytes<Signed>(
      tensor, [](Signed value) { return google::protobuf::internal::WireFormatLite::ZigZagEncode64(value); });
}

int64_t TypedBytes(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kBool:
      return tensor.elements();
    case DType::kUint8:
      return UnsignedBytes<uint8_t>(tensor);
    case DType::kUint16:
      return UnsignedBytes<uint16_t>(tensor);
    case DType::kUint32:
      return UnsignedBytes<uint32_t>(tensor);
    case DType::kUint64:
      return UnsignedBytes<uint64_t>(tensor);
    case DType::kInt8:
      return ZigZagBytes<int8_t>(tensor);
    case DType::kInt16:
      return ZigZagBytes<int16_t>(tensor);
    case DType::kInt32:
      return ZigZagBytes<int32_t>(tensor);
    case DType::kInt64:
      return ZigZagBytes<int64_t>(tensor);
    case DType::kFp16:
    case DType::kBf16:
    case DType::kFp32:
      return tensor.elements() * static_cast<int64_t>(sizeof(float));
    case DType::kFp64:
      return tensor.elements() * static_cast<int64_t>(sizeof(double));
    case DType::kBytes:
      break;
  }
  return 0;
}

// Of each string, beside its own bytes: its length, which for a typed one is at least a tag and a byte.
int64_t StringsBytes(const Tensor& tensor, int64_t length) {
  int64_t bytes = tensor.elements() * length;
  for (const std::string& string : tensor.strings()) bytes += static_cast<int64_t>(string.size());
  return bytes;
}

void EncodeRaw(const Tensor& tensor, std::string& raw) {
  if (tensor.dtype() != DType::kBytes) {
    raw.assign(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size());
    return;
  }
  for (const std::string& string : tensor.strings()) {
    const auto length = static_cast<uint32_t>(string.size());
    raw.append(reinterpret_cast<const char*>(&length), sizeof(length));
    raw.append(string);
  }
}

}  // namespace

v1::DataType ToProto(DType dtype) {
  // The two enums list the types in the same order.
  static_assert(static_cast<int>(DType::kBytes) + 1 == v1::DATA_TYPE_BYTES);
  return static_cast<v1::DataType>(static_cast<int>(dtype) + 1);
}

int64_t EncodedBytes(const Tensor& tensor, Encoding encoding) {
  if (tensor.dtype() == DType::kBytes) return StringsBytes(tensor, encoding == Encoding::kRaw ? sizeof(uint32_t) : 2);
  if (encoding == Encoding::kRaw) return static_cast<int64_t>(tensor.byte_size());
  // To look at every element is only worth while where it may decide.
  constexpr int64_t kFew = int64_t{1} << 24;
  const bool decides = tensor.elements() > kFew && tensor.elements() <= INT_MAX;
  return decides ? TypedBytes(tensor) : tensor.elements();
}

void EncodeTensor(const Tensor& tensor, const std::string& name, Encoding encoding, v1::Tensor& message) {
  message.set_name(name);
  message.set_dtype(ToProto(tensor.dtype()));
  message.mutable_shape()->Add(tensor.shape().begin(), tensor.shape().end());
  if (encoding == Encoding::kRaw) {
    EncodeRaw(tensor, *message.mutable_raw());
  } else {
    EncodeTyped(tensor, message);
  }
}

}  // namespace predictd
