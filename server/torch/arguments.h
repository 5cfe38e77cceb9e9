#ifndef PREDICTD_SERVER_TORCH_ARGUMENTS_H_
#define PREDICTD_SERVER_TORCH_ARGUMENTS_H_

// Makes the arguments of a TorchScript method from what callers send. Private to the predictd_torch target.

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/model/signature.h"
#include "server/model/tensor.h"

namespace predictd {

// Where each argument of a method comes from: an input of model.toml, several inputs in a tuple, list or dict, or its
// default. Created once, when the module is loaded. Immutable, thread-safe.
//
// Inputs are matched by name if their names are the arguments' own: `x`, and in a tuple, list or dict `t.field`,
// `xs.0`, `d.key`. Further names belong to the only list or dict, if there is one. Otherwise inputs are taken in their
// order.
class ArgumentPlan {
 public:
  // FAILED_PRECONDITION says which input or argument does not fit, and what would.
  static absl::StatusOr<ArgumentPlan> Create(const c10::FunctionSchema& schema, const Signature& signature);

  // The arguments without self. `inputs` are the signature's, with the masks among them. Set `copy` if the method may
  // write to its arguments: it then gets copies that nothing else uses. Throws what LibTorch throws, and
  // std::out_of_range if an element does not fit into one of TorchScript's numbers.
  std::vector<c10::IValue> Make(absl::Span<const Tensor> inputs, bool copy) const;

  // Whether no element of an input becomes a number, on which the computation may depend.
  bool tensors_only() const { return tensors_only_; }

 private:
  // One value: an argument, or a part of one.
  struct Node {
    enum class Kind { kTensor, kElements, kFallback, kTuple, kList, kDict };
    Kind kind = Kind::kFallback;
    c10::TypePtr type = nullptr;
    // For kTensor and kElements: the index among all inputs.
    size_t input = 0;
    // Used in place of a missing input.
    std::optional<c10::IValue> fallback = {};
    // For the other kinds.
    std::vector<Node> children = {};
    std::vector<c10::IValue> keys = {};
  };
  class Builder;

  static c10::IValue MakeNode(const Node& node, absl::Span<const Tensor> inputs, bool copy);
  static c10::IValue MakeContainer(const Node& node, absl::Span<const Tensor> inputs, bool copy);

  std::vector<Node> arguments_;
  bool tensors_only_ = true;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_ARGUMENTS_H_
