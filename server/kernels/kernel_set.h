#ifndef PREDICTD_SERVER_KERNELS_KERNEL_SET_H_
#define PREDICTD_SERVER_KERNELS_KERNEL_SET_H_

namespace predictd {

// The instruction sets that vectorised code is compiled for. All such code of the server runs with one of them, which
// BestKernelSet chooses when the program runs.
enum class KernelSet {
  // What the compiler may assume of any processor.
  kPortable,
  // AVX2, FMA and F16C.
  kAvx2,
  // AVX-512 F, BW, VL, DQ and VNNI.
  kAvx512,
};

// All of them, the fastest first.
inline constexpr KernelSet kKernelSets[] = {KernelSet::kAvx512, KernelSet::kAvx2, KernelSet::kPortable};

// "portable", "avx2" or "avx512".
const char* KernelSetName(KernelSet set);

// Whether this processor and operating system can run it.
bool IsSupported(KernelSet set);

// The supported set of that name, or the fastest supported one if there is none of that name or `name` is null.
KernelSet ChooseKernelSet(const char* name);

// The set that the environment variable PREDICTD_KERNEL_SET names, as ChooseKernelSet has it. Chosen at the first call.
KernelSet BestKernelSet();

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_KERNEL_SET_H_
