#include "server/kernels/kernels.h"

namespace predictd {

const Kernels& KernelsFor(KernelSet set) {
#if defined(__x86_64__)
  if (set == KernelSet::kAvx512) return kAvx512Kernels;
  if (set == KernelSet::kAvx2) return kAvx2Kernels;
#endif
  return kPortableKernels;
}

const Kernels& BestKernels() {
  static const Kernels& best = KernelsFor(BestKernelSet());
  return best;
}

}  // namespace predictd
