#ifndef PREDICTD_SERVER_MODEL_TORCH_TENSOR_H_
#define PREDICTD_SERVER_MODEL_TORCH_TENSOR_H_

// Between our tensors and LibTorch's. Private to the predictd_torch target.

#include <ATen/core/ivalue.h>

#include <vector>

#include "absl/status/statusor.h"
#include "server/model/signature.h"
#include "server/model/tensor.h"

namespace predictd {

// Views the tensor's memory and keeps it alive, whatever becomes of the result: a model may return its input or a view
// of it, or store it. Not for BYTES.
at::Tensor ViewAsTorch(const Tensor& tensor);

// As an argument of a TorchScript method; BYTES become List[str].
c10::IValue ToIValue(const Tensor& tensor);

// Takes over what a model returned, without a copy unless it is not contiguous. INTERNAL if its type or device is none
// that we serve.
absl::StatusOr<Tensor> FromTorch(at::Tensor tensor);

// The outputs in the signature's order out of what a TorchScript method returned: a tensor, a List[str], a tuple or
// list of them, or a dict by output name.
absl::StatusOr<std::vector<Tensor>> FromIValue(const c10::IValue& value, const Signature& signature);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TORCH_TENSOR_H_
