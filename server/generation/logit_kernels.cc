#include "server/generation/logit_kernels.h"

namespace predictd {

bool IsSupported(InstructionSet set) {
  if (set == InstructionSet::kBaseline) return true;
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

const LogitKernels& LogitKernelsFor(InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::kAvx2) return kAvx2LogitKernels;
#endif
  return kBaselineLogitKernels;
}

const LogitKernels& BestLogitKernels() {
  static const LogitKernels& best =
      LogitKernelsFor(IsSupported(InstructionSet::kAvx2) ? InstructionSet::kAvx2 : InstructionSet::kBaseline);
  return best;
}

}  // namespace predictd
