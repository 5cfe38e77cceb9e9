#include "server/model/torch_tensor.h"

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

c10::ScalarType ToScalarType(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return c10::ScalarType::Bool;
    case DType::kUint8:
      return c10::ScalarType::Byte;
    case DType::kUint16:
      return c10::ScalarType::UInt16;
    case DType::kUint32:
      return c10::ScalarType::UInt32;
    case DType::kUint64:
      return c10::ScalarType::UInt64;
    case DType::kInt8:
      return c10::ScalarType::Char;
    case DType::kInt16:
      return c10::ScalarType::Short;
    case DType::kInt32:
      return c10::ScalarType::Int;
    case DType::kInt64:
      return c10::ScalarType::Long;
    case DType::kFp16:
      return c10::ScalarType::Half;
    case DType::kBf16:
      return c10::ScalarType::BFloat16;
    case DType::kFp32:
      return c10::ScalarType::Float;
    case DType::kFp64:
      return c10::ScalarType::Double;
    case DType::kBytes:
      break;
  }
  return c10::ScalarType::Undefined;
}

std::optional<DType> FromScalarType(c10::ScalarType type) {
  for (int i = 0; i < static_cast<int>(DType::kBytes); ++i) {
    if (ToScalarType(static_cast<DType>(i)) == type) return static_cast<DType>(i);
  }
  return std::nullopt;
}

Tensor FromStrings(const c10::List<std::string>& list) {
  auto strings = std::make_shared<std::vector<std::string>>();
  strings->reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) strings->push_back(list.get(i));
  Shape shape = {static_cast<int64_t>(strings->size())};
  return Tensor(std::move(shape), std::move(strings));
}

bool IsStringList(const c10::IValue& value) {
  return value.isList() && value.toListRef().empty() == false && value.toListRef()[0].isString();
}

absl::StatusOr<Tensor> FromOne(const c10::IValue& value, const TensorSpec& spec) {
  if (value.isTensor()) return FromTorch(value.toTensor());
  if (spec.dtype == DType::kBytes && value.isList()) {
    if (value.toListRef().empty()) return FromStrings(c10::List<std::string>());
    if (IsStringList(value)) return FromStrings(value.to<c10::List<std::string>>());
  }
  return absl::InternalError(
      absl::StrCat("output ", spec.name, " is a ", value.tagKind(), ", not a ", DTypeName(spec.dtype), " tensor"));
}

// The returned values in the signature's order.
absl::StatusOr<std::vector<c10::IValue>> Unpack(const c10::IValue& value, const Signature& signature) {
  const size_t expected = signature.outputs.size();
  if (value.isGenericDict()) {
    std::vector<c10::IValue> values;
    const auto dict = value.toGenericDict();
    for (const TensorSpec& spec : signature.outputs) {
      const auto found = dict.find(c10::IValue(spec.name));
      if (found == dict.end()) return absl::InternalError(absl::StrCat("the model's dict has no output ", spec.name));
      values.push_back(found->value());
    }
    return values;
  }
  std::vector<c10::IValue> values;
  if (value.isTuple()) {
    const auto tuple = value.toTuple();
    values.assign(tuple->elements().begin(), tuple->elements().end());
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) values.emplace_back(tensor);
  } else {
    values.push_back(value);
  }
  if (values.size() != expected) {
    return absl::InternalError(
        absl::StrCat("the model returned ", values.size(), " outputs, its signature has ", expected));
  }
  return values;
}

}  // namespace

at::Tensor ViewAsTorch(const Tensor& tensor) {
  const c10::IntArrayRef shape(tensor.shape().data(), tensor.shape().size());
  // LibTorch has no read-only tensors; a model that writes to its input writes to the request's own memory.
  return at::for_blob(const_cast<std::byte*>(tensor.data()), shape)
      .context(new Tensor(tensor), [](void* owner) { delete static_cast<Tensor*>(owner); })
      .options(ToScalarType(tensor.dtype()))
      .make_tensor();
}

c10::IValue ToIValue(const Tensor& tensor) {
  if (tensor.dtype() != DType::kBytes) return ViewAsTorch(tensor);
  c10::List<std::string> list;
  list.reserve(tensor.strings().size());
  for (const std::string& string : tensor.strings()) list.push_back(string);
  return list;
}

absl::StatusOr<Tensor> FromTorch(at::Tensor tensor) {
  const std::optional<DType> dtype = FromScalarType(tensor.scalar_type());
  if (!dtype.has_value() || !tensor.device().is_cpu() || tensor.layout() != c10::kStrided) {
    return absl::InternalError(absl::StrCat("the model returned a tensor that cannot be served: ", tensor.toString()));
  }
  tensor = tensor.contiguous();
  Shape shape(tensor.sizes().begin(), tensor.sizes().end());
  const void* data = tensor.const_data_ptr();
  auto owner = std::make_shared<const at::Tensor>(std::move(tensor));
  return Tensor(*dtype, std::move(shape), data, std::move(owner));
}

absl::StatusOr<std::vector<Tensor>> FromIValue(const c10::IValue& value, const Signature& signature) {
  absl::StatusOr<std::vector<c10::IValue>> values = Unpack(value, signature);
  if (!values.ok()) return values.status();
  std::vector<Tensor> outputs;
  outputs.reserve(values->size());
  for (size_t i = 0; i < values->size(); ++i) {
    absl::StatusOr<Tensor> output = FromOne((*values)[i], signature.outputs[i]);
    if (!output.ok()) return output.status();
    outputs.push_back(*std::move(output));
  }
  return outputs;
}

}  // namespace predictd
