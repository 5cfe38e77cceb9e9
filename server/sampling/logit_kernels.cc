#include "server/sampling/logit_kernels.h"

namespace predictd {

const LogitKernels& LogitKernelsFor(KernelSet set) {
#if defined(__x86_64__)
  if (set != KernelSet::kPortable) return kAvx2LogitKernels;
#endif
  return kPortableLogitKernels;
}

const LogitKernels& BestLogitKernels() {
  static const LogitKernels& best = LogitKernelsFor(BestKernelSet());
  return best;
}

}  // namespace predictd
