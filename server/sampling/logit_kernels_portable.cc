#include "server/sampling/logit_kernels_impl.h"

namespace predictd {

const LogitKernels kPortableLogitKernels = VectorKernels<16>::kKernels;

}  // namespace predictd
