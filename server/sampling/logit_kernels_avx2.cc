#include "server/sampling/logit_kernels_impl.h"

namespace predictd {

const LogitKernels kAvx2LogitKernels = VectorKernels<32>::kKernels;

}  // namespace predictd
