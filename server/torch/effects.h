#ifndef PREDICTD_SERVER_TORCH_EFFECTS_H_
#define PREDICTD_SERVER_TORCH_EFFECTS_H_

// Finds out what a TorchScript method does besides computing its result. Private to the predictd_torch target.

#include <torch/script.h>

#include <string>

namespace predictd {

// The effects as far as the method's code tells, given the current values of the module's attributes: branches that
// cannot be taken, such as those of layers in training mode, do not count.
struct MethodEffects {
  // What it writes to of the module's own state ("it assigns self.last"); empty if nothing.
  std::string state;
  // What it draws at random ("it calls aten::dropout"); empty if nothing.
  std::string chance;
  // Whether it may write to its arguments.
  bool writes_arguments = false;
  // Whether it computes gradients.
  bool differentiates = false;
  // Whether it starts tasks that run concurrently with it.
  bool forks = false;
};

MethodEffects InspectEffects(const torch::jit::Module& module, const torch::jit::Method& method);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_EFFECTS_H_
