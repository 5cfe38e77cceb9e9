#ifndef PREDICTD_SERVER_TORCH_KNOWN_VALUES_H_
#define PREDICTD_SERVER_TORCH_KNOWN_VALUES_H_

// The values of a TorchScript graph that are the same in every run. Private to the predictd_torch target.

#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <optional>
#include <utility>

namespace predictd {

// Knows constants, attributes that are never assigned, and what follows from them: enough to tell which branches are
// taken. Not thread-safe.
class KnownValues {
 public:
  void Set(const torch::jit::Value* value, c10::IValue known) { known_[value] = std::move(known); }
  std::optional<c10::IValue> Find(const torch::jit::Value* value) const;
  // Makes the value of `from`, if it is known, the value of `to` as well.
  void Copy(const torch::jit::Value* from, const torch::jit::Value* to);

  // Records the node's result if it is a truth value that follows from known values.
  void Evaluate(const torch::jit::Node& node);

 private:
  std::map<const torch::jit::Value*, c10::IValue> known_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_KNOWN_VALUES_H_
