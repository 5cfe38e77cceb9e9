#include "server/torch/tensor.h"

#include <ATen/ATen.h>

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

}  // namespace

at::Tensor ViewAsTorch(const Tensor& tensor) {
  const c10::IntArrayRef shape(tensor.shape().data(), tensor.shape().size());
  // LibTorch has no read-only tensors: a model that writes to its input writes to the request's own memory.
  return at::for_blob(const_cast<std::byte*>(tensor.data()), shape)
      .context(new Tensor(tensor), [](void* owner) { delete static_cast<Tensor*>(owner); })
      .options(ToScalarType(tensor.dtype()))
      .make_tensor();
}

std::string WhyNotServed(const at::Tensor& tensor) {
  if (!tensor.defined()) return "an undefined tensor";
  if (tensor.is_quantized()) {
    return absl::StrCat("a quantised tensor (", c10::toString(tensor.scalar_type()),
                        "): return its dequantize() or int_repr()");
  }
  if (tensor.is_complex()) {
    return absl::StrCat("a tensor of complex numbers (", c10::toString(tensor.scalar_type()),
                        "): return torch.view_as_real of it");
  }
  if (tensor.is_sparse() || tensor.is_sparse_csr() || tensor.layout() == c10::kMkldnn) {
    return absl::StrCat("a tensor of layout ", c10::str(tensor.layout()), ": return its to_dense()");
  }
  if (tensor.is_nested()) return "a nested tensor: return its to_padded_tensor()";
  if (tensor.is_meta()) return "a tensor on the device meta, which has no elements";
  if (!tensor.device().is_cpu()) return absl::StrCat("on the device ", tensor.device().str(), ": return its cpu()");
  if (!FromScalarType(tensor.scalar_type()).has_value()) {
    return absl::StrCat("of the type ", c10::toString(tensor.scalar_type()), ", which cannot be sent");
  }
  return tensor.layout() == c10::kStrided ? "" : absl::StrCat("a tensor of layout ", c10::str(tensor.layout()));
}

absl::StatusOr<Tensor> FromTorch(at::Tensor tensor, absl::string_view name) {
  const std::optional<DType> dtype = tensor.defined() ? FromScalarType(tensor.scalar_type()) : std::nullopt;
  if (!dtype.has_value() || !tensor.device().is_cpu() || tensor.layout() != c10::kStrided || tensor.is_nested()) {
    return absl::InternalError(
        absl::StrCat(name.empty() ? "an output" : absl::StrCat("output ", name), " is ", WhyNotServed(tensor)));
  }
  // These keys stand for work that is still pending, and that a pointer to the elements does not show.
  constexpr c10::DispatchKeySet kLazy(
      {c10::DispatchKey::Conjugate, c10::DispatchKey::Negative, c10::DispatchKey::ZeroTensor});
  if (tensor.key_set().has_any(kLazy)) tensor = tensor.clone().resolve_conj().resolve_neg();
  if (tensor.requires_grad()) tensor = tensor.detach();
  tensor = tensor.contiguous();
  Shape shape(tensor.sizes().begin(), tensor.sizes().end());
  const void* data = tensor.const_data_ptr();
  auto owner = std::make_shared<const at::Tensor>(std::move(tensor));
  return Tensor(*dtype, std::move(shape), data, std::move(owner));
}

}  // namespace predictd
