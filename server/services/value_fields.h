#ifndef PREDICTD_SERVER_SERVICES_VALUE_FIELDS_H_
#define PREDICTD_SERVER_SERVICES_VALUE_FIELDS_H_

// The typed fields of a tensor message: which one the numbers of a type travel in, and how to get at it.

#include <google/protobuf/repeated_field.h>
#include <predictd/v1/tensor.pb.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "server/model/dtype.h"

namespace predictd {

// By their numbers in the message. The last two hold the strings of BYTES tensors.
enum class ValueField {
  kBool = v1::Tensor::kBoolValuesFieldNumber,
  kInt = v1::Tensor::kIntValuesFieldNumber,
  kInt64 = v1::Tensor::kInt64ValuesFieldNumber,
  kUint = v1::Tensor::kUintValuesFieldNumber,
  kUint64 = v1::Tensor::kUint64ValuesFieldNumber,
  kFloat = v1::Tensor::kFloatValuesFieldNumber,
  kDouble = v1::Tensor::kDoubleValuesFieldNumber,
  kBytes = v1::Tensor::kBytesValuesFieldNumber,
  kString = v1::Tensor::kStringValuesFieldNumber,
};

// The field's name in the message, as in "bool_values".
std::string FieldName(ValueField field);

// A field that holds numbers.
template <class Number>
struct NumberField {
  using Values = google::protobuf::RepeatedField<Number>;

  ValueField field;
  const Values& (v1::Tensor::*values)() const;
  Values* (v1::Tensor::*mutable_values)();

  const Values& Of(const v1::Tensor& message) const { return (message.*values)(); }
  Values& MutableOf(v1::Tensor& message) const { return *(message.*mutable_values)(); }
};

inline constexpr NumberField<bool> kBoolField = {ValueField::kBool, &v1::Tensor::bool_values,
                                                 &v1::Tensor::mutable_bool_values};
inline constexpr NumberField<int32_t> kIntField = {ValueField::kInt, &v1::Tensor::int_values,
                                                   &v1::Tensor::mutable_int_values};
inline constexpr NumberField<int64_t> kInt64Field = {ValueField::kInt64, &v1::Tensor::int64_values,
                                                     &v1::Tensor::mutable_int64_values};
inline constexpr NumberField<uint32_t> kUintField = {ValueField::kUint, &v1::Tensor::uint_values,
                                                     &v1::Tensor::mutable_uint_values};
inline constexpr NumberField<uint64_t> kUint64Field = {ValueField::kUint64, &v1::Tensor::uint64_values,
                                                       &v1::Tensor::mutable_uint64_values};
inline constexpr NumberField<float> kFloatField = {ValueField::kFloat, &v1::Tensor::float_values,
                                                   &v1::Tensor::mutable_float_values};
inline constexpr NumberField<double> kDoubleField = {ValueField::kDouble, &v1::Tensor::double_values,
                                                     &v1::Tensor::mutable_double_values};

// Calls `visit` with each of them, in the order of the message.
template <class Visitor>
void ForEachNumberField(Visitor visit) {
  visit(kBoolField);
  visit(kIntField);
  visit(kInt64Field);
  visit(kUintField);
  visit(kUint64Field);
  visit(kFloatField);
  visit(kDoubleField);
}

// The field that numbers of that type travel in: the one of their kind that is wide enough.
template <class Number>
constexpr const auto& FieldFor() {
  constexpr bool kWide = sizeof(Number) == 8;
  if constexpr (std::is_same_v<Number, bool>) {
    return kBoolField;
  } else if constexpr (std::is_floating_point_v<Number>) {
    if constexpr (kWide) return kDoubleField;
    if constexpr (!kWide) return kFloatField;
  } else if constexpr (std::is_signed_v<Number>) {
    if constexpr (kWide) return kInt64Field;
    if constexpr (!kWide) return kIntField;
  } else {
    if constexpr (kWide) return kUint64Field;
    if constexpr (!kWide) return kUintField;
  }
}

// The field that holds elements of a type; for BYTES, the one whose strings need not be text.
ValueField FieldOf(DType dtype);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_VALUE_FIELDS_H_
