#include "server/kernels/kernel_set.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

namespace predictd {
namespace {

#if defined(__x86_64__)
// clang's __builtin_cpu_supports does not know F16C.
bool HasF16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

}  // namespace

const char* KernelSetName(KernelSet set) {
  constexpr const char* kNames[] = {"portable", "avx2", "avx512"};
  return kNames[static_cast<int>(set)];
}

bool IsSupported(KernelSet set) {
  if (set == KernelSet::kPortable) return true;
#if defined(__x86_64__)
  // These also check that the operating system saves the registers.
  const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && HasF16c();
  if (set == KernelSet::kAvx2) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vnni") != 0;
#else
  return false;
#endif
}

KernelSet ChooseKernelSet(const char* name) {
  const std::string_view wanted = name == nullptr ? "" : name;
  for (const KernelSet set : kKernelSets) {
    if (wanted == KernelSetName(set) && IsSupported(set)) return set;
  }
  return *std::find_if(std::begin(kKernelSets), std::end(kKernelSets), IsSupported);
}

KernelSet BestKernelSet() {
  static const KernelSet best = ChooseKernelSet(std::getenv("PREDICTD_KERNEL_SET"));
  return best;
}

}  // namespace predictd
