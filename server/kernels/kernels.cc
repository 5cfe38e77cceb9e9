#include "server/kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdlib>
#include <cstring>

namespace predictd {
namespace {

constexpr KernelSet kFastestFirst[] = {KernelSet::kAvx512, KernelSet::kAvx2, KernelSet::kPortable};

const Kernels& Choose(const char* wanted) {
  const Kernels* fastest = nullptr;
  for (const KernelSet set : kFastestFirst) {
    if (!IsSupported(set)) continue;
    const Kernels& kernels = KernelsFor(set);
    if (wanted != nullptr && std::strcmp(wanted, kernels.name) == 0) return kernels;
    if (fastest == nullptr) fastest = &kernels;
  }
  return *fastest;
}

#if defined(__x86_64__)
// clang's __builtin_cpu_supports does not know it.
bool HasF16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

}  // namespace

bool IsSupported(KernelSet set) {
  if (set == KernelSet::kPortable) return true;
#if defined(__x86_64__)
  // These ask the operating system too, whether it keeps the registers.
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && HasF16c();
  if (set == KernelSet::kAvx2) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vnni") != 0;
#else
  return false;
#endif
}

const Kernels& KernelsFor(KernelSet set) {
#if defined(__x86_64__)
  if (set == KernelSet::kAvx512) return kAvx512Kernels;
  if (set == KernelSet::kAvx2) return kAvx2Kernels;
#endif
  return kPortableKernels;
}

const Kernels& BestKernels() {
  static const Kernels& best = Choose(std::getenv("PREDICTD_KERNEL_SET"));
  return best;
}

}  // namespace predictd
