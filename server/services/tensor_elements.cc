#include "server/services/tensor_elements.h"

#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/model/element_types.h"

namespace predictd {
namespace {

static_assert(std::endian::native == std::endian::little, "raw tensors are little-endian");

void Fail(const SentTensor& sent, absl::string_view field, absl::string_view description) {
  sent.errors.Add(sent.path(field), description);
}

// The checked shape; adds an error if it is wrong.
std::optional<Shape> CheckShape(const SentTensor& sent, int64_t elements) {
  absl::StatusOr<Shape> shape = ResolveShape(sent.spec, sent.shape, elements);
  if (shape.ok()) return *std::move(shape);
  Fail(sent, "shape", shape.status().message());
  return std::nullopt;
}

// The checked shape of numbers in so many raw bytes.
std::optional<Shape> CheckRawShape(const SentTensor& sent, uint64_t bytes, absl::string_view field) {
  const size_t width = ByteWidth(sent.spec.dtype);
  if (bytes % width == 0) return CheckShape(sent, static_cast<int64_t>(bytes / width));
  Fail(sent, field,
       absl::StrCat("expected a multiple of ", width, " bytes for ", DTypeName(sent.spec.dtype), ", got ", bytes));
  return std::nullopt;
}

// The tensor if its elements are in the range that the spec asks for.
std::optional<Tensor> InRangeOnly(const SentTensor& sent, Tensor tensor, absl::string_view field) {
  if (!sent.spec.range.has_value()) return tensor;
  const std::optional<int64_t> index = FindOutside(tensor, *sent.spec.range);
  if (!index.has_value()) return tensor;
  const DType dtype = sent.spec.dtype;
  Fail(sent, field,
       absl::StrCat("expected values from ", ElementName(dtype, sent.spec.range->least.data()), " to ",
                    ElementName(dtype, sent.spec.range->most.data()), ", got ",
                    ElementName(dtype, tensor.data() + static_cast<size_t>(*index) * ByteWidth(dtype)), " as element ",
                    *index));
  return std::nullopt;
}

// The type that messages have for a number.
template <class Number>
struct SentNumber {
  using Type =
      std::conditional_t<std::is_same_v<Number, bool> || std::is_floating_point_v<Number> || sizeof(Number) == 8,
                         Number, std::conditional_t<std::is_signed_v<Number>, int32_t, uint32_t>>;
};

// Elements that are narrower in the tensor than in the message.
template <class Type, class Wide>
std::optional<Tensor> Narrowed(const SentTensor& sent, Shape shape, absl::Span<const Wide> values,
                               absl::string_view field) {
  using Number = typename Type::Number;
  const DType dtype = sent.spec.dtype;
  std::byte* fill = nullptr;
  Tensor tensor = Tensor::Allocate(dtype, std::move(shape), &fill);
  auto* out = reinterpret_cast<typename Type::Stored*>(fill);
  for (size_t i = 0; i < values.size(); ++i) {
    std::optional<typename Type::Stored> narrow;
    if constexpr (std::is_floating_point_v<Number>) {
      narrow = Type::Write(values[i]);
    } else if (std::in_range<Number>(values[i])) {
      narrow = Type::Write(static_cast<Number>(values[i]));
    }
    if (!narrow.has_value()) {
      const absl::string_view name = DTypeName(dtype);
      Fail(sent, absl::StrCat(field, "[", i, "]"),
           absl::StrCat("expected a value that ", name, " can hold, got ", values[i]));
      return std::nullopt;
    }
    out[i] = *narrow;
  }
  return tensor;
}

// Calls `element` with each string of a raw BYTES tensor. False if the lengths do not add up.
template <class Function>
bool ForEachRawString(absl::string_view raw, Function element) {
  while (!raw.empty()) {
    uint32_t length = 0;
    if (raw.size() < sizeof(length)) return false;
    std::memcpy(&length, raw.data(), sizeof(length));
    raw.remove_prefix(sizeof(length));
    if (raw.size() < length) return false;
    element(raw.substr(0, length));
    raw.remove_prefix(length);
  }
  return true;
}

std::optional<Tensor> FromRawStrings(const SentTensor& sent, absl::string_view raw, absl::string_view field) {
  int64_t count = 0;
  if (!ForEachRawString(raw, [&count](absl::string_view) { ++count; })) {
    Fail(sent, field, "expected for each element a 4-byte little-endian length and that many bytes, got less");
    return std::nullopt;
  }
  if (count > kMaxStrings) {
    Fail(sent, field, absl::StrCat("expected at most ", kMaxStrings, " strings, got ", count));
    return std::nullopt;
  }
  std::optional<Shape> shape = CheckShape(sent, count);
  if (!shape.has_value()) return std::nullopt;
  auto strings = std::make_shared<std::vector<std::string>>();
  strings->reserve(static_cast<size_t>(count));
  ForEachRawString(raw, [&strings](absl::string_view element) { strings->emplace_back(element); });
  return Tensor(*std::move(shape), std::move(strings));
}

}  // namespace

bool CheckRawBytes(const SentTensor& sent, uint64_t bytes, absl::string_view field) {
  return sent.spec.dtype == DType::kBytes || CheckRawShape(sent, bytes, field).has_value();
}

std::optional<Tensor> FromRaw(const SentTensor& sent, absl::string_view raw, absl::string_view field) {
  const DType dtype = sent.spec.dtype;
  if (dtype == DType::kBytes) return FromRawStrings(sent, raw, field);
  std::optional<Shape> shape = CheckRawShape(sent, raw.size(), field);
  if (!shape.has_value()) return std::nullopt;
  if (dtype == DType::kBool) {
    for (size_t i = 0; i < raw.size(); ++i) {
      if (static_cast<unsigned char>(raw[i]) > 1) {
        Fail(sent, field,
             absl::StrCat("expected 0 or 1 for each BOOL, got ", static_cast<unsigned char>(raw[i]), " at byte ", i));
        return std::nullopt;
      }
    }
  }
  return InRangeOnly(sent, Tensor(dtype, *std::move(shape), raw.data(), sent.owner), field);
}

std::optional<Tensor> FromNumbers(const SentTensor& sent, const void* numbers, int64_t count, absl::string_view field) {
  std::optional<Shape> shape = CheckShape(sent, count);
  if (!shape.has_value()) return std::nullopt;
  std::optional<Tensor> tensor = VisitElementType(sent.spec.dtype, std::optional<Tensor>(), [&](auto type) {
    using Type = decltype(type);
    using Wide = typename SentNumber<typename Type::Number>::Type;
    // What lies in the message as in a tensor is used as it is.
    if constexpr (sizeof(typename Type::Stored) == sizeof(Wide)) {
      return std::optional<Tensor>(Tensor(sent.spec.dtype, *std::move(shape), numbers, sent.owner));
    } else {
      const absl::Span<const Wide> values(static_cast<const Wide*>(numbers), static_cast<size_t>(count));
      return Narrowed<Type>(sent, *std::move(shape), values, field);
    }
  });
  return tensor.has_value() ? InRangeOnly(sent, *std::move(tensor), field) : std::nullopt;
}

std::optional<Tensor> FromStrings(const SentTensor& sent,
                                  const google::protobuf::RepeatedPtrField<std::string>& strings) {
  std::optional<Shape> shape = CheckShape(sent, strings.size());
  if (!shape.has_value()) return std::nullopt;
  return Tensor(*std::move(shape), std::make_shared<std::vector<std::string>>(strings.begin(), strings.end()));
}

}  // namespace predictd
