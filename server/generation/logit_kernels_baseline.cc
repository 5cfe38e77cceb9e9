#include "server/generation/logit_kernels_impl.h"

namespace predictd {

const LogitKernels kBaselineLogitKernels = VectorKernels<16>::kKernels;

}  // namespace predictd
