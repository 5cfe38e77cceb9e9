#ifndef PREDICTD_TESTS_KERNELS_KERNEL_SET_FIXTURE_H_
#define PREDICTD_TESTS_KERNELS_KERNEL_SET_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "server/kernels/kernels.h"

namespace predictd {

// A test that every kernel set must pass. Skipped for those that this processor cannot run.
class KernelSetTest : public testing::TestWithParam<KernelSet> {
 protected:
  void SetUp() override {
    if (!IsSupported(GetParam())) GTEST_SKIP() << "this processor cannot run " << KernelSetName(GetParam());
  }
  const Kernels& kernels() const { return KernelsFor(GetParam()); }
};

inline auto EachKernelSet() {
  return testing::ValuesIn(kKernelSets);
}

inline std::string ParameterName(const testing::TestParamInfo<KernelSet>& info) {
  return KernelSetName(info.param);
}

template <class T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_KERNELS_KERNEL_SET_FIXTURE_H_
