#ifndef PREDICTD_SERVER_TORCH_GRAPH_H_
#define PREDICTD_SERVER_TORCH_GRAPH_H_

// Finds out what can be known about a TorchScript method without running it. Private to the predictd_torch target.

#include <torch/script.h>

namespace predictd {

// Whether the shapes of the method's arguments determine its work: nothing in it makes a number, a branch or a shape
// from a tensor's elements. True only if it uses no operators but those known not to do so.
bool CostDependsOnShapesOnly(const torch::jit::Method& method);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_GRAPH_H_
