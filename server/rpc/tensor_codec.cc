#include "server/rpc/tensor_codec.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "server/model/half_float.h"

namespace predictd {
namespace {

static_assert(std::endian::native == std::endian::little, "raw tensors are little-endian");

absl::string_view Name(DType dtype) {
  return DTypeName(dtype);
}

// The typed field that elements of a type travel in.
enum class ValueField { kBool, kInt, kInt64, kUint, kUint64, kFloat, kDouble, kBytes };

ValueField FieldOf(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return ValueField::kBool;
    case DType::kUint8:
    case DType::kUint16:
    case DType::kUint32:
      return ValueField::kUint;
    case DType::kUint64:
      return ValueField::kUint64;
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
      return ValueField::kInt;
    case DType::kInt64:
      return ValueField::kInt64;
    case DType::kFp16:
    case DType::kBf16:
    case DType::kFp32:
      return ValueField::kFloat;
    case DType::kFp64:
      return ValueField::kDouble;
    case DType::kBytes:
      break;
  }
  return ValueField::kBytes;
}

struct FieldInfo {
  ValueField field;
  const char* name;
  int size;
};

// The typed fields of a message that hold elements.
absl::InlinedVector<FieldInfo, 1> FilledFields(const v1::Tensor& m) {
  const FieldInfo all[] = {{ValueField::kBool, "bool_values", m.bool_values_size()},
                           {ValueField::kInt, "int_values", m.int_values_size()},
                           {ValueField::kInt64, "int64_values", m.int64_values_size()},
                           {ValueField::kUint, "uint_values", m.uint_values_size()},
                           {ValueField::kUint64, "uint64_values", m.uint64_values_size()},
                           {ValueField::kFloat, "float_values", m.float_values_size()},
                           {ValueField::kDouble, "double_values", m.double_values_size()},
                           {ValueField::kBytes, "bytes_values", m.bytes_values_size()}};
  absl::InlinedVector<FieldInfo, 1> filled;
  for (const FieldInfo& info : all) {
    if (info.size > 0) filled.push_back(info);
  }
  return filled;
}

const char* FieldName(ValueField field) {
  constexpr const char* kNames[] = {"bool_values",   "int_values",   "int64_values",  "uint_values",
                                    "uint64_values", "float_values", "double_values", "bytes_values"};
  return kNames[static_cast<int>(field)];
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

// Elements that are narrower in the tensor than in the message. `convert` returns nullopt for one that does not fit.
template <class Narrow, class Wide, class Convert>
std::optional<Tensor> Narrowed(const Decoding& d, Shape shape, const google::protobuf::RepeatedField<Wide>& values,
                               Convert convert) {
  std::byte* fill = nullptr;
  Tensor tensor = Tensor::Allocate(d.spec.dtype, std::move(shape), &fill);
  auto* out = reinterpret_cast<Narrow*>(fill);
  for (int i = 0; i < values.size(); ++i) {
    const std::optional<Narrow> narrow = convert(values[i]);
    if (!narrow.has_value()) {
      d.Fail(absl::StrCat(FieldName(FieldOf(d.spec.dtype)), "[", i, "]"),
             absl::StrCat("expected a value that ", Name(d.spec.dtype), " can hold, got ", values[i]));
      return std::nullopt;
    }
    out[i] = *narrow;
  }
  return tensor;
}

template <class Narrow, class Wide>
std::optional<Tensor> NarrowedInteger(const Decoding& d, Shape shape,
                                      const google::protobuf::RepeatedField<Wide>& values) {
  return Narrowed<Narrow>(d, std::move(shape), values, [](Wide value) -> std::optional<Narrow> {
    if (!std::in_range<Narrow>(value)) return std::nullopt;
    return static_cast<Narrow>(value);
  });
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
  const auto view = [&](const auto& values) { return Tensor(d.spec.dtype, std::move(shape), values.data(), d.owner); };
  switch (d.spec.dtype) {
    case DType::kBool:
      return view(m.bool_values());
    case DType::kUint8:
      return NarrowedInteger<uint8_t>(d, std::move(shape), m.uint_values());
    case DType::kUint16:
      return NarrowedInteger<uint16_t>(d, std::move(shape), m.uint_values());
    case DType::kUint32:
      return view(m.uint_values());
    case DType::kUint64:
      return view(m.uint64_values());
    case DType::kInt8:
      return NarrowedInteger<int8_t>(d, std::move(shape), m.int_values());
    case DType::kInt16:
      return NarrowedInteger<int16_t>(d, std::move(shape), m.int_values());
    case DType::kInt32:
      return view(m.int_values());
    case DType::kInt64:
      return view(m.int64_values());
    case DType::kFp16:
      return Narrowed<uint16_t>(d, std::move(shape), m.float_values(), [](float value) -> std::optional<uint16_t> {
        const uint16_t bits = FloatToFp16(value);
        if (std::isfinite(value) && !std::isfinite(Fp16ToFloat(bits))) return std::nullopt;
        return bits;
      });
    case DType::kBf16:
      return Narrowed<uint16_t>(d, std::move(shape), m.float_values(), [](float value) -> std::optional<uint16_t> {
        const uint16_t bits = FloatToBf16(value);
        if (std::isfinite(value) && !std::isfinite(Bf16ToFloat(bits))) return std::nullopt;
        return bits;
      });
    case DType::kFp32:
      return view(m.float_values());
    case DType::kFp64:
      return view(m.double_values());
    case DType::kBytes:
      break;
  }
  auto strings = std::make_shared<std::vector<std::string>>(m.bytes_values().begin(), m.bytes_values().end());
  return Tensor(std::move(shape), std::move(strings));
}

// Calls `element` with each string of a raw BYTES tensor; false if the lengths do not add up.
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

// The shape, checked; complains about it otherwise.
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
  const absl::InlinedVector<FieldInfo, 1> filled = FilledFields(message);
  if (!message.raw().empty()) {
    if (!filled.empty()) {
      d.Fail(filled.front().name, "expected elements either here or in raw, got both");
      return std::nullopt;
    }
    return DecodeRaw(d);
  }
  const ValueField expected = FieldOf(spec.dtype);
  for (const FieldInfo& info : filled) {
    if (info.field == expected) continue;
    d.Fail(info.name, absl::StrCat("expected the elements of ", Name(spec.dtype), " in ", FieldName(expected),
                                   " or raw, got ", info.name));
    return std::nullopt;
  }
  std::optional<Shape> shape = CheckShape(d, filled.empty() ? 0 : filled.front().size);
  if (!shape.has_value()) return std::nullopt;
  std::optional<Tensor> tensor = DecodeTyped(d, *std::move(shape));
  return tensor.has_value() ? InRangeOnly(d, *std::move(tensor)) : std::nullopt;
}

}  // namespace predictd
