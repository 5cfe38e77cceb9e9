#ifndef PREDICTD_SERVER_SERVICES_VALUE_FIELDS_H_
#define PREDICTD_SERVER_SERVICES_VALUE_FIELDS_H_

// The typed fields of a message that holds a tensor's elements: which one the numbers of a type travel in, and how to
// get at it. Each protocol has such a message, and both have a field for each kind of number.

#include <google/protobuf/repeated_field.h>
#include <inference/grpc_service.pb.h>
#include <predictd/v1/tensor.pb.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "absl/container/inlined_vector.h"
#include "server/model/element_types.h"

namespace predictd {

// A field that holds numbers.
template <class Message, class Number>
struct NumberField {
  using Values = google::protobuf::RepeatedField<Number>;

  // The field's number in the message.
  int field;
  const Values& (Message::*values)() const;
  Values* (Message::*mutable_values)();

  const Values& Of(const Message& message) const { return (message.*values)(); }
  Values& MutableOf(Message& message) const { return *(message.*mutable_values)(); }
};

template <class Message>
struct ValueFields;

template <>
struct ValueFields<v1::Tensor> {
  using M = v1::Tensor;
  static constexpr NumberField<M, bool> kBool = {M::kBoolValuesFieldNumber, &M::bool_values, &M::mutable_bool_values};
  static constexpr NumberField<M, int32_t> kInt = {M::kIntValuesFieldNumber, &M::int_values, &M::mutable_int_values};
  static constexpr NumberField<M, int64_t> kInt64 = {M::kInt64ValuesFieldNumber, &M::int64_values,
                                                     &M::mutable_int64_values};
  static constexpr NumberField<M, uint32_t> kUint = {M::kUintValuesFieldNumber, &M::uint_values,
                                                     &M::mutable_uint_values};
  static constexpr NumberField<M, uint64_t> kUint64 = {M::kUint64ValuesFieldNumber, &M::uint64_values,
                                                       &M::mutable_uint64_values};
  static constexpr NumberField<M, float> kFloat = {M::kFloatValuesFieldNumber, &M::float_values,
                                                   &M::mutable_float_values};
  static constexpr NumberField<M, double> kDouble = {M::kDoubleValuesFieldNumber, &M::double_values,
                                                     &M::mutable_double_values};
  // The strings of BYTES tensors.
  static constexpr int kBytes = M::kBytesValuesFieldNumber;
};

template <>
struct ValueFields<inference::InferTensorContents> {
  using M = inference::InferTensorContents;
  static constexpr NumberField<M, bool> kBool = {M::kBoolContentsFieldNumber, &M::bool_contents,
                                                 &M::mutable_bool_contents};
  static constexpr NumberField<M, int32_t> kInt = {M::kIntContentsFieldNumber, &M::int_contents,
                                                   &M::mutable_int_contents};
  static constexpr NumberField<M, int64_t> kInt64 = {M::kInt64ContentsFieldNumber, &M::int64_contents,
                                                     &M::mutable_int64_contents};
  static constexpr NumberField<M, uint32_t> kUint = {M::kUintContentsFieldNumber, &M::uint_contents,
                                                     &M::mutable_uint_contents};
  static constexpr NumberField<M, uint64_t> kUint64 = {M::kUint64ContentsFieldNumber, &M::uint64_contents,
                                                       &M::mutable_uint64_contents};
  static constexpr NumberField<M, float> kFloat = {M::kFp32ContentsFieldNumber, &M::fp32_contents,
                                                   &M::mutable_fp32_contents};
  static constexpr NumberField<M, double> kDouble = {M::kFp64ContentsFieldNumber, &M::fp64_contents,
                                                     &M::mutable_fp64_contents};
  static constexpr int kBytes = M::kBytesContentsFieldNumber;
};

// Calls `visit` with each field that holds numbers.
template <class Message, class Visitor>
void ForEachNumberField(Visitor visit) {
  using Fields = ValueFields<Message>;
  visit(Fields::kBool);
  visit(Fields::kInt);
  visit(Fields::kInt64);
  visit(Fields::kUint);
  visit(Fields::kUint64);
  visit(Fields::kFloat);
  visit(Fields::kDouble);
}

// The field that numbers of that type travel in: the one of their kind that is wide enough.
template <class Message, class Number>
constexpr const auto& FieldFor() {
  using Fields = ValueFields<Message>;
  constexpr bool kWide = sizeof(Number) == 8;
  if constexpr (std::is_same_v<Number, bool>) {
    return Fields::kBool;
  } else if constexpr (std::is_floating_point_v<Number>) {
    if constexpr (kWide) return Fields::kDouble;
    if constexpr (!kWide) return Fields::kFloat;
  } else if constexpr (std::is_signed_v<Number>) {
    if constexpr (kWide) return Fields::kInt64;
    if constexpr (!kWide) return Fields::kInt;
  } else {
    if constexpr (kWide) return Fields::kUint64;
    if constexpr (!kWide) return Fields::kUint;
  }
}

// The number of the field that holds elements of a type; for BYTES, of the one whose strings need not be text.
template <class Message>
int FieldOf(DType dtype) {
  return VisitElementType(dtype, ValueFields<Message>::kBytes,
                          [](auto type) { return FieldFor<Message, typename decltype(type)::Number>().field; });
}

// A field that holds elements.
struct FilledField {
  int field = 0;
  // Null for strings.
  const void* numbers = nullptr;
  int size = 0;
};
using FilledFields = absl::InlinedVector<FilledField, 1>;

// The fields of numbers that are not empty.
template <class Message>
FilledFields FilledNumbers(const Message& message) {
  FilledFields filled;
  ForEachNumberField<Message>([&](const auto& field) {
    const auto& values = field.Of(message);
    if (!values.empty()) filled.push_back({field.field, values.data(), values.size()});
  });
  return filled;
}

// The name of the field with that number, as in "bool_values".
template <class Message>
const std::string& FieldName(int field) {
  return Message::descriptor()->FindFieldByNumber(field)->name();
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_VALUE_FIELDS_H_
