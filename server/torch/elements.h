#ifndef PREDICTD_SERVER_TORCH_ELEMENTS_H_
#define PREDICTD_SERVER_TORCH_ELEMENTS_H_

// Converts between tensors and TorchScript's numbers, strings and lists of them. Private to the predictd_torch target.

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/model/signature.h"
#include "server/model/tensor.h"

namespace predictd {

// Whether the type is int, float, bool, str or number, or lists of them to any depth.
bool IsOfElements(const c10::Type& type);

// Whether the type, below its lists, holds elements of that dtype without a conversion.
bool HoldsItself(const c10::Type& type, DType dtype);

// Why a tensor with this `spec` cannot become such a value; nullopt if it can.
std::optional<std::string> WhyNotElements(const c10::Type& type, const TensorSpec& spec);

// The tensor as such a value: a number if it has one element, a list for each dimension. Throws std::out_of_range if an
// element does not fit.
c10::IValue ToElements(const Tensor& tensor, const c10::Type& type);

// A number, a string, or lists of them, as a tensor of the spec's type. INTERNAL says why that is impossible, without
// the output's name.
absl::StatusOr<Tensor> FromElements(const c10::IValue& value, const TensorSpec& spec);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_ELEMENTS_H_
