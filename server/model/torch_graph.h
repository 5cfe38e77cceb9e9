#ifndef PREDICTD_SERVER_MODEL_TORCH_GRAPH_H_
#define PREDICTD_SERVER_MODEL_TORCH_GRAPH_H_

// What can be told of a TorchScript method without running it. Private to the predictd_torch target.

#include <torch/script.h>

namespace predictd {

// Whether what the method does is known from its arguments' shapes: nothing in it makes a number, a branch or a shape
// of a tensor's elements. Only of operators that are known not to; of others it is not known.
bool CostDependsOnShapesOnly(const torch::jit::Method& method);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TORCH_GRAPH_H_
