#include "server/services/tensor_codec.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "server/model/element_types.h"
#include "server/services/value_fields.h"

namespace predictd {
namespace {

static_assert(std::endian::native == std::endian::little, "raw tensors are little-endian");

absl::string_view Name(DType dtype) {
  return DTypeName(dtype);
}

struct FilledField {
  ValueField field;
  int size;
};

// The typed fields of a message that hold elements.
absl::InlinedVector<FilledField, 1> FilledFields(const v1::Tensor& m) {
  absl::InlinedVector<FilledField, 1> filled;
  const auto add = [&](ValueField field, int size) {
    if (size > 0) filled.push_back({field, size});
  };
  ForEachNumberField([&](const auto& field) { add(field.field, field.Of(m).size()); });
  add(ValueField::kBytes, m.bytes_values_size());
  add(ValueField::kString, m.string_values_size());
  return filled;
}

// The fields that may hold elements of that type, for messages.
std::string FieldNames(DType dtype) {
  const std::string name = FieldName(FieldOf(dtype));
  return dtype == DType::kBytes ? absl::StrCat(name, ", ", FieldName(ValueField::kString)) : name;
}

bool HoldsElementsOf(DType dtype, ValueField field) {
  return field == FieldOf(dtype) || (dtype == DType::kBytes && field == ValueField::kString);
}

struct Decoding {
  const v1::Tensor& message;
  const TensorSpec& spec;
  const std::shared_ptr<const void>& owner;
  const std::string& path;
  FieldErrors& errors;

  void Fail(absl::string_view field, absl::string_view description) const {
    errors.Add(absl::StrCat(path, ".", field), description);
  }
};

// Elements that are narrower in the tensor than in the message.
template <class Type, class Wide>
std::optional<Tensor> Narrowed(const Decoding& d, Shape shape, const google::protobuf::RepeatedField<Wide>& values) {
  using Number = typename Type::Number;
  std::byte* fill = nullptr;
  Tensor tensor = Tensor::Allocate(d.spec.dtype, std::move(shape), &fill);
  auto* out = reinterpret_cast<typename Type::Stored*>(fill);
  for (int i = 0; i < values.size(); ++i) {
    std::optional<typename Type::Stored> narrow;
    if constexpr (std::is_floating_point_v<Number>) {
      narrow = Type::Write(values[i]);
    } else if (std::in_range<Number>(values[i])) {
      narrow = Type::Write(static_cast<Number>(values[i]));
    }
    if (!narrow.has_value()) {
      d.Fail(absl::StrCat(FieldName(FieldOf(d.spec.dtype)), "[", i, "]"),
             absl::StrCat("expected a value that ", Name(d.spec.dtype), " can hold, got ", values[i]));
      return std::nullopt;
    }
    out[i] = *narrow;
  }
  return tensor;
}

// The tensor if its elements are in the range that the spec asks for.
std::optional<Tensor> InRangeOnly(const Decoding& d, Tensor tensor) {
  if (!d.spec.range.has_value()) return tensor;
  const std::optional<int64_t> index = FindOutside(tensor, *d.spec.range);
  if (!index.has_value()) return tensor;
  const DType dtype = d.spec.dtype;
  d.Fail(d.message.raw().empty() ? FieldName(FieldOf(dtype)) : "raw",
         absl::StrCat("expected values from ", ElementName(dtype, d.spec.range->least.data()), " to ",
                      ElementName(dtype, d.spec.range->most.data()), ", got ",
                      ElementName(dtype, tensor.data() + static_cast<size_t>(*index) * ByteWidth(dtype)),
                      " as element ", *index));
  return std::nullopt;
}

std::optional<Tensor> DecodeTyped(const Decoding& d, Shape shape) {
  const v1::Tensor& m = d.message;
  if (d.spec.dtype == DType::kBytes) {
    const auto& values = m.string_values().empty() ? m.bytes_values() : m.string_values();
    auto strings = std::make_shared<std::vector<std::string>>(values.begin(), values.end());
    return Tensor(std::move(shape), std::move(strings));
  }
  return VisitElementType(d.spec.dtype, std::optional<Tensor>(), [&](auto type) {
    using Type = decltype(type);
    const auto& values = FieldFor<typename Type::Number>().Of(m);
    // What lies in the message as in a tensor is used as it is.
    if constexpr (sizeof(typename Type::Stored) == sizeof(*values.data())) {
      return std::optional<Tensor>(Tensor(d.spec.dtype, std::move(shape), values.data(), d.owner));
    } else {
      return Narrowed<Type>(d, std::move(shape), values);
    }
  });
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

// The checked shape; adds an error if it is wrong.
std::optional<Shape> CheckShape(const Decoding& d, int64_t elements) {
  const absl::Span<const int64_t> given(d.message.shape().data(), d.message.shape().size());
  absl::StatusOr<Shape> shape = ResolveShape(d.spec, given, elements);
  if (shape.ok()) return *std::move(shape);
  d.Fail("shape", shape.status().message());
  return std::nullopt;
}

std::optional<Tensor> DecodeRaw(const Decoding& d) {
  const std::string& raw = d.message.raw();
  if (d.spec.dtype == DType::kBytes) {
    int64_t count = 0;
    if (!ForEachRawString(raw, [&count](absl::string_view) { ++count; })) {
      d.Fail("raw", "expected for each element a 4-byte little-endian length and that many bytes, got less");
      return std::nullopt;
    }
    if (count > kMaxStrings) {
      d.Fail("raw", absl::StrCat("expected at most ", kMaxStrings, " strings, got ", count));
      return std::nullopt;
    }
    std::optional<Shape> shape = CheckShape(d, count);
    if (!shape.has_value()) return std::nullopt;
    auto strings = std::make_shared<std::vector<std::string>>();
    strings->reserve(static_cast<size_t>(count));
    ForEachRawString(raw, [&strings](absl::string_view element) { strings->emplace_back(element); });
    return Tensor(*std::move(shape), std::move(strings));
  }
  const size_t width = ByteWidth(d.spec.dtype);
  if (raw.size() % width != 0) {
    d.Fail("raw",
           absl::StrCat("expected a multiple of ", width, " bytes for ", Name(d.spec.dtype), ", got ", raw.size()));
    return std::nullopt;
  }
  std::optional<Shape> shape = CheckShape(d, static_cast<int64_t>(raw.size() / width));
  if (!shape.has_value()) return std::nullopt;
  if (d.spec.dtype == DType::kBool) {
    for (size_t i = 0; i < raw.size(); ++i) {
      if (static_cast<unsigned char>(raw[i]) > 1) {
        d.Fail("raw",
               absl::StrCat("expected 0 or 1 for each BOOL, got ", static_cast<unsigned char>(raw[i]), " at byte ", i));
        return std::nullopt;
      }
    }
  }
  return InRangeOnly(d, Tensor(d.spec.dtype, *std::move(shape), raw.data(), d.owner));
}

}  // namespace

std::optional<Tensor> DecodeTensor(const v1::Tensor& message, const TensorSpec& spec, std::shared_ptr<const void> owner,
                                   const std::string& path, FieldErrors& errors) {
  const Decoding d{message, spec, owner, path, errors};
  if (message.dtype() != v1::DATA_TYPE_UNSPECIFIED && message.dtype() != ToProto(spec.dtype)) {
    const std::string got = v1::DataType_IsValid(message.dtype()) ? v1::DataType_Name(message.dtype())
                                                                  : absl::StrCat("the unknown type ", message.dtype());
    d.Fail("dtype", absl::StrCat("expected ", v1::DataType_Name(ToProto(spec.dtype)), ", got ", got));
    return std::nullopt;
  }
  const absl::InlinedVector<FilledField, 1> filled = FilledFields(message);
  if (!message.raw().empty()) {
    if (!filled.empty()) {
      d.Fail(FieldName(filled.front().field), "expected elements either here or in raw, got both");
      return std::nullopt;
    }
    return DecodeRaw(d);
  }
  for (const auto& [field, size] : filled) {
    if (HoldsElementsOf(spec.dtype, field)) continue;
    d.Fail(FieldName(field), absl::StrCat("expected the elements of ", Name(spec.dtype), " in ", FieldNames(spec.dtype),
                                          " or raw, got ", FieldName(field)));
    return std::nullopt;
  }
  if (filled.size() > 1) {
    d.Fail(FieldName(filled[1].field),
           absl::StrCat("expected elements either here or in ", FieldName(filled[0].field), ", got both"));
    return std::nullopt;
  }
  std::optional<Shape> shape = CheckShape(d, filled.empty() ? 0 : filled.front().size);
  if (!shape.has_value()) return std::nullopt;
  std::optional<Tensor> tensor = DecodeTyped(d, *std::move(shape));
  return tensor.has_value() ? InRangeOnly(d, *std::move(tensor)) : std::nullopt;
}

}  // namespace predictd
