#ifndef PREDICTD_SERVER_TORCH_OUTPUTS_H_
#define PREDICTD_SERVER_TORCH_OUTPUTS_H_

// Turns what a TorchScript method returns into the outputs of model.toml. Private to the predictd_torch target.

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/model/signature.h"
#include "server/model/tensor.h"

namespace predictd {

// Finds the outputs in what a method returns: a tensor, a number, a string or a list of these, or tuples, lists and
// dicts of them, nested to any depth. Immutable, thread-safe.
//
// An output is identified by its name if that is a dict's key, a named tuple's field, or a path (`1.0`, `hidden.2`).
// Otherwise outputs are the members of a tuple or list in their order, with nested ones flattened; members after the
// last output are ignored, and so are members that may be None if the others are just enough. A member that comes after
// a list, or after a part that may be None and has several members, has a position that differs from value to value, so
// only its name or path identifies it.
class OutputPlan {
 public:
  // FAILED_PRECONDITION if it is known without a run that the method returns too little.
  static absl::StatusOr<OutputPlan> Create(c10::TypePtr returned, const Signature& signature);

  // The outputs in the signature's order. With `unshare` they share no memory with anything that lives longer than
  // `value`. INTERNAL says which output cannot be served, and why.
  absl::StatusOr<std::vector<Tensor>> Convert(c10::IValue value, bool unshare) const;

 private:
  OutputPlan(c10::TypePtr returned, std::vector<TensorSpec> outputs)
      : returned_(std::move(returned)), outputs_(std::move(outputs)) {}

  c10::TypePtr returned_;
  std::vector<TensorSpec> outputs_;
  // The place of each output: the indices through nested tuples. nullopt if each value has to be searched.
  std::optional<std::vector<std::vector<size_t>>> places_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_OUTPUTS_H_
