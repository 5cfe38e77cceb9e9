#ifndef PREDICTD_TESTS_KERNELS_KERNEL_SET_TEST_H_
#define PREDICTD_TESTS_KERNELS_KERNEL_SET_TEST_H_

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "server/kernels/kernels.h"

namespace predictd {

inline constexpr KernelSet kAllKernelSets[] = {KernelSet::kPortable, KernelSet::kAvx2, KernelSet::kAvx512};

// A test that every kernel set must pass. Skipped for those that this processor cannot run.
class KernelSetTest : public testing::TestWithParam<KernelSet> {
 protected:
  void SetUp() override {
    if (!IsSupported(GetParam())) GTEST_SKIP() << "this processor cannot run " << KernelsFor(GetParam()).name;
  }
  const Kernels& kernels() const { return KernelsFor(GetParam()); }
};

inline auto EachKernelSet() {
  return testing::ValuesIn(kAllKernelSets);
}

inline std::string KernelSetName(const testing::TestParamInfo<KernelSet>& info) {
  return info.param == KernelSet::kAvx512 ? "avx512" : info.param == KernelSet::kAvx2 ? "avx2" : "portable";
}

template <class T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_KERNELS_KERNEL_SET_TEST_H_
