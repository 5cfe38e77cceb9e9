#include "server/services/tensor_codec.h"

#include "absl/strings/str_cat.h"
#include "server/services/tensor_elements.h"
#include "server/services/value_fields.h"

namespace predictd {
namespace {

constexpr int kStringValues = v1::Tensor::kStringValuesFieldNumber;

// The typed fields of a message that hold elements.
FilledFields FilledIn(const v1::Tensor& message) {
  FilledFields filled = FilledNumbers(message);
  if (!message.bytes_values().empty()) filled.push_back({ValueFields<v1::Tensor>::kBytes});
  if (!message.string_values().empty()) filled.push_back({kStringValues});
  return filled;
}

const std::string& Name(int field) {
  return FieldName<v1::Tensor>(field);
}

// The fields that may hold elements of that type, for messages.
std::string FieldNames(DType dtype) {
  const std::string& name = Name(FieldOf<v1::Tensor>(dtype));
  return dtype == DType::kBytes ? absl::StrCat(name, ", ", Name(kStringValues)) : name;
}

bool HoldsElementsOf(DType dtype, int field) {
  return field == FieldOf<v1::Tensor>(dtype) || (dtype == DType::kBytes && field == kStringValues);
}

std::string TypeName(v1::DataType type) {
  return v1::DataType_IsValid(type) ? v1::DataType_Name(type) : absl::StrCat("the unknown type ", type);
}

}  // namespace

std::optional<Tensor> DecodeTensor(const v1::Tensor& message, const TensorSpec& spec,
                                   const std::shared_ptr<const void>& owner, const std::string& path,
                                   FieldErrors& errors) {
  const auto path_of = [&path](absl::string_view field) { return absl::StrCat(path, ".", field); };
  const auto fail = [&](absl::string_view field, absl::string_view description) {
    errors.Add(path_of(field), description);
    return std::nullopt;
  };
  const SentTensor sent = {.spec = spec,
                           .shape = {message.shape().data(), static_cast<size_t>(message.shape_size())},
                           .owner = owner,
                           .path = path_of,
                           .errors = errors};
  const v1::DataType type = ToProto(spec.dtype);
  if (message.dtype() != v1::DATA_TYPE_UNSPECIFIED && message.dtype() != type) {
    return fail("dtype", absl::StrCat("expected ", v1::DataType_Name(type), ", got ", TypeName(message.dtype())));
  }
  const FilledFields filled = FilledIn(message);
  if (!message.raw().empty()) {
    if (filled.empty()) return FromRaw(sent, message.raw(), "raw");
    return fail(Name(filled.front().field), "expected elements either here or in raw, got both");
  }
  for (const FilledField& part : filled) {
    if (HoldsElementsOf(spec.dtype, part.field)) continue;
    return fail(Name(part.field), absl::StrCat("expected the elements of ", DTypeName(spec.dtype), " in ",
                                               FieldNames(spec.dtype), " or raw, got ", Name(part.field)));
  }
  if (filled.size() > 1) {
    return fail(Name(filled[1].field),
                absl::StrCat("expected elements either here or in ", Name(filled[0].field), ", got both"));
  }
  if (spec.dtype == DType::kBytes) {
    return FromStrings(sent, message.string_values().empty() ? message.bytes_values() : message.string_values());
  }
  const FilledField numbers = filled.empty() ? FilledField{FieldOf<v1::Tensor>(spec.dtype)} : filled[0];
  return FromNumbers(sent, numbers.numbers, numbers.size, Name(numbers.field));
}

}  // namespace predictd
