#include "server/services/tensor_encoding.h"

#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <bit>
#include <climits>
#include <cstdint>
#include <type_traits>

#include "absl/types/span.h"
#include "server/model/element_types.h"
#include "server/services/value_fields.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

template <class Type>
void AddNumbers(const Tensor& tensor, v1::Tensor& m) {
  auto& field = FieldFor<v1::Tensor, typename Type::Number>().MutableOf(m);
  const auto* values = reinterpret_cast<const typename Type::Stored*>(tensor.data());
  field.Reserve(static_cast<int>(tensor.elements()));
  for (int64_t i = 0; i < tensor.elements(); ++i) field.AddAlreadyReserved(Type::Read(values[i]));
}

bool IsText(absl::Span<const std::string> strings) {
  return std::all_of(strings.begin(), strings.end(), [](const std::string& string) { return IsUtf8(string); });
}

void EncodeStrings(absl::Span<const std::string> strings, bool as_text, v1::Tensor& m) {
  if (as_text) {
    for (const std::string& string : strings) m.add_string_values(string);
  } else {
    for (const std::string& string : strings) m.add_bytes_values(string);
  }
}

void EncodeTyped(const Tensor& tensor, Encoding encoding, v1::Tensor& m) {
  const bool numbers = VisitElementType(tensor.dtype(), false, [&](auto type) {
    AddNumbers<decltype(type)>(tensor, m);
    return true;
  });
  if (!numbers) EncodeStrings(tensor.strings(), encoding == Encoding::kText && IsText(tensor.strings()), m);
}

// How many bytes an integer takes as a varint, of whose bytes each has seven of the bits.
template <class Integer>
int64_t VarintBytes(Integer value) {
  uint64_t bits = 0;
  if constexpr (std::is_signed_v<Integer>) {
    bits = google::protobuf::internal::WireFormatLite::ZigZagEncode64(value);
  } else {
    bits = value;
  }
  return (std::bit_width(bits | 1) + 6) / 7;
}

int64_t TypedBytes(const Tensor& tensor) {
  return VisitElementType(tensor.dtype(), int64_t{0}, [&](auto type) {
    using Number = typename decltype(type)::Number;
    if constexpr (std::is_same_v<Number, bool> || std::is_floating_point_v<Number>) {
      return tensor.elements() * static_cast<int64_t>(sizeof(Number));
    } else {
      const auto* values = reinterpret_cast<const Number*>(tensor.data());
      int64_t bytes = 0;
      for (int64_t i = 0; i < tensor.elements(); ++i) bytes += VarintBytes(values[i]);
      return bytes;
    }
  });
}

// How many bytes the strings take. `length` is what each takes besides its own bytes: its length prefix, which for a
// typed string is at least a tag and a byte.
int64_t StringsBytes(const Tensor& tensor, int64_t length) {
  int64_t bytes = tensor.elements() * length;
  for (const std::string& string : tensor.strings()) bytes += static_cast<int64_t>(string.size());
  return bytes;
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
  // Looking at every element is only worthwhile where the result may matter.
  constexpr int64_t kFew = int64_t{1} << 24;
  const bool decides = tensor.elements() > kFew && tensor.elements() <= INT_MAX;
  return decides ? TypedBytes(tensor) : tensor.elements();
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

void EncodeTensor(const Tensor& tensor, const std::string& name, Encoding encoding, v1::Tensor& message) {
  message.set_name(name);
  message.set_dtype(ToProto(tensor.dtype()));
  message.mutable_shape()->Add(tensor.shape().begin(), tensor.shape().end());
  if (encoding == Encoding::kRaw) {
    EncodeRaw(tensor, *message.mutable_raw());
  } else {
    EncodeTyped(tensor, encoding, message);
  }
}

}  // namespace predictd
