#ifndef PREDICTD_SERVER_TORCH_TENSOR_H_
#define PREDICTD_SERVER_TORCH_TENSOR_H_

// Conversions between our tensors and LibTorch's. Private to the predictd_torch target.

#include <ATen/core/Tensor.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/tensor.h"

namespace predictd {

// Views the tensor's memory and keeps it alive for as long as the result, or anything that shares its memory, lives: a
// model may return its input or a view of it, or store it. Not for BYTES.
at::Tensor ViewAsTorch(const Tensor& tensor);

// Why the tensor cannot be sent: what it is, and what to do about it, to complete "output y is ..."; empty if it can be
// sent.
std::string WhyNotServed(const at::Tensor& tensor);

// Takes over a tensor that a model returned, without a copy unless it is not contiguous. INTERNAL if its type or device
// is not one that we serve.
absl::StatusOr<Tensor> FromTorch(at::Tensor tensor, absl::string_view name = "");

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_TENSOR_H_
