#include "client/tensor_encoding.h"

#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/data_type.h"
#include "client/shape.h"

namespace predictd {
inline namespace client {
namespace {

static_assert(std::endian::native == std::endian::little, "the raw encoding is copied as it lies in memory");

// The typed field for each element type.
template <typename T>
auto* TypedField(v1::Tensor& tensor) {
  if constexpr (std::is_same_v<T, bool>) {
    return tensor.mutable_bool_values();
  } else if constexpr (std::is_same_v<T, double>) {
    return tensor.mutable_double_values();
  } else if constexpr (std::is_same_v<T, float> || kIsHalfWidth<T>) {
    return tensor.mutable_float_values();
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return tensor.mutable_int64_values();
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    return tensor.mutable_uint64_values();
  } else if constexpr (std::is_signed_v<T>) {
    return tensor.mutable_int_values();
  } else {
    return tensor.mutable_uint_values();
  }
}

template <typename T, typename Value>
bool FromTyped(Value value, T& element) {
  if constexpr (std::is_same_v<T, Half>) {
    element = ToHalf(value);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    element = ToBFloat16(value);
  } else {
    element = static_cast<T>(value);
    if constexpr (std::is_integral_v<T>) return element == value;
  }
  return true;
}

template <typename T>
auto ToTyped(T element) {
  if constexpr (kIsHalfWidth<T>) {
    return ToFloat(element);
  } else {
    return element;
  }
}

std::int64_t TypedValueCount(const v1::Tensor& tensor) {
  return std::int64_t{tensor.bool_values_size()} + tensor.int_values_size() + tensor.int64_values_size() +
         tensor.uint_values_size() + tensor.uint64_values_size() + tensor.float_values_size() +
         tensor.double_values_size() + tensor.bytes_values_size() + tensor.string_values_size();
}

absl::Status Malformed(const v1::Tensor& tensor, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor.name(), "' ", DataTypeName(tensor.dtype()),
                                                 ShapeText(tensor.shape()), " ", what));
}

// OK if `held` is the number of elements that the shape requires.
absl::Status CheckCount(const v1::Tensor& tensor, std::int64_t held) {
  const absl::StatusOr<std::int64_t> wanted = ElementCount(tensor.shape());
  if (!wanted.ok()) return wanted.status();
  if (*wanted == held) return absl::OkStatus();
  return Malformed(tensor, absl::StrCat("holds ", held, " elements, not ", *wanted));
}

absl::Status BytesToRaw(v1::Tensor& tensor) {
  const auto& elements = tensor.string_values().empty() ? tensor.bytes_values() : tensor.string_values();
  if (absl::Status count = CheckCount(tensor, elements.size()); !count.ok()) return count;
  std::string raw;
  for (const std::string& element : elements) {
    if (element.size() > std::numeric_limits<std::uint32_t>::max()) return Malformed(tensor, "has too long an element");
    AppendBytesElement(element, raw);
  }
  tensor.clear_bytes_values();
  tensor.clear_string_values();
  tensor.set_raw(std::move(raw));
  return absl::OkStatus();
}

absl::Status BytesToTyped(v1::Tensor& tensor) {
  if (absl::Status check = CheckRaw(tensor); !check.ok()) return check;
  const std::string raw = tensor.raw();
  const absl::StatusOr<std::vector<absl::string_view>> elements = SplitBytesElements(raw);
  for (const absl::string_view element : *elements) {
    tensor.add_bytes_values(element.data(), element.size());
  }
  tensor.clear_raw();
  return absl::OkStatus();
}

template <typename T>
absl::Status ValuesToRaw(v1::Tensor& tensor) {
  auto& values = *TypedField<T>(tensor);
  if (absl::Status count = CheckCount(tensor, values.size()); !count.ok()) return count;
  std::string raw(static_cast<std::size_t>(values.size()) * sizeof(T), '\0');
  char* out = raw.data();
  for (const auto value : values) {
    T element{};
    if (!FromTyped(value, element)) return Malformed(tensor, absl::StrCat("cannot hold ", value));
    std::memcpy(out, &element, sizeof(T));
    out += sizeof(T);
  }
  values.Clear();
  tensor.set_raw(std::move(raw));
  return absl::OkStatus();
}

template <typename T>
absl::Status RawToValues(v1::Tensor& tensor) {
  if (absl::Status check = CheckRaw(tensor); !check.ok()) return check;
  const std::string& raw = tensor.raw();
  const std::size_t held = raw.size() / sizeof(T);
  if (held > static_cast<std::size_t>(std::numeric_limits<int>::max())) return Malformed(tensor, "is too large");
  auto& values = *TypedField<T>(tensor);
  values.Reserve(static_cast<int>(held));
  for (std::size_t i = 0; i < held; ++i) {
    values.Add(ToTyped(LoadElement<T>(raw.data() + i * sizeof(T))));
  }
  tensor.clear_raw();
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRaw(const v1::Tensor& tensor) {
  if (TypedValueCount(tensor) > 0) return Malformed(tensor, "holds typed elements");
  if (tensor.dtype() == v1::DATA_TYPE_BYTES) {
    const absl::StatusOr<std::vector<absl::string_view>> elements = SplitBytesElements(tensor.raw());
    if (!elements.ok()) return Malformed(tensor, elements.status().message());
    return CheckCount(tensor, static_cast<std::int64_t>(elements->size()));
  }
  const std::size_t width = DataTypeWidth(tensor.dtype());
  if (width == 0) return Malformed(tensor, "has an unknown type");
  if (tensor.raw().size() % width != 0) return Malformed(tensor, absl::StrCat("holds ", tensor.raw().size(), " bytes"));
  return CheckCount(tensor, static_cast<std::int64_t>(tensor.raw().size() / width));
}

absl::Status EncodeRaw(v1::Tensor& tensor) {
  const std::int64_t typed = TypedValueCount(tensor);
  if (!tensor.raw().empty() && typed > 0) return Malformed(tensor, "holds both raw and typed elements");
  if (!tensor.raw().empty()) return CheckRaw(tensor);
  if (tensor.dtype() == v1::DATA_TYPE_BYTES) {
    if (typed != tensor.bytes_values_size() && typed != tensor.string_values_size())
      return Malformed(tensor, "has elements in a field of another type");
    return BytesToRaw(tensor);
  }
  absl::Status result = Malformed(tensor, "has an unknown type");
  VisitFixedWidth(tensor.dtype(), [&]<typename T>(std::type_identity<T>) {
    result = typed == TypedField<T>(tensor)->size() ? ValuesToRaw<T>(tensor)
                                                    : Malformed(tensor, "has elements in a field of another type");
  });
  return result;
}

absl::Status EncodeTyped(v1::Tensor& tensor) {
  if (TypedValueCount(tensor) > 0) {
    // Encoding a copy as raw checks everything.
    v1::Tensor copy = tensor;
    return EncodeRaw(copy);
  }
  if (tensor.dtype() == v1::DATA_TYPE_BYTES) return BytesToTyped(tensor);
  absl::Status result = Malformed(tensor, "has an unknown type");
  VisitFixedWidth(tensor.dtype(), [&]<typename T>(std::type_identity<T>) { result = RawToValues<T>(tensor); });
  return result;
}

void AppendBytesElement(absl::string_view element, std::string& raw) {
  const auto length = static_cast<std::uint32_t>(element.size());
  char prefix[sizeof(length)];
  std::memcpy(prefix, &length, sizeof(length));
  raw.append(prefix, sizeof(prefix)).append(element.data(), element.size());
}

absl::StatusOr<std::vector<absl::string_view>> SplitBytesElements(absl::string_view raw) {
  std::vector<absl::string_view> elements;
  while (!raw.empty()) {
    std::uint32_t length = 0;
    if (raw.size() < sizeof(length)) return absl::InvalidArgumentError("ends inside an element's length");
    std::memcpy(&length, raw.data(), sizeof(length));
    raw.remove_prefix(sizeof(length));
    if (raw.size() < length) return absl::InvalidArgumentError("ends inside an element");
    elements.push_back(raw.substr(0, length));
    raw.remove_prefix(length);
  }
  return elements;
}

}  // namespace client
}  // namespace predictd
