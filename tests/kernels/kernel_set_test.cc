#include "server/kernels/kernel_set.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "server/kernels/kernels.h"

namespace predictd {
namespace {

TEST(KernelSetTest, IsChosenByItsName) {
  EXPECT_EQ(ChooseKernelSet("portable"), KernelSet::kPortable);
  for (const std::string name : {"portable", "avx2", "avx512"}) {
    const KernelSet set = ChooseKernelSet(name.c_str());
    EXPECT_TRUE(KernelSetName(set) == name || set == ChooseKernelSet(nullptr)) << name;
  }
}

TEST(KernelSetTest, WithoutANameIsTheFastestThatIsSupported) {
  const KernelSet best = ChooseKernelSet(nullptr);
  EXPECT_TRUE(IsSupported(best));
  for (const KernelSet set : kKernelSets) {
    if (set == best) break;
    EXPECT_FALSE(IsSupported(set)) << KernelSetName(set);
  }
  EXPECT_EQ(ChooseKernelSet(""), best);
  EXPECT_EQ(ChooseKernelSet("neon"), best);
}

TEST(KernelSetTest, EnvironmentChoosesTheKernels) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto choose = [](const char* name, KernelSet expected) {
    setenv("PREDICTD_KERNEL_SET", name, 1);
    std::exit(&BestKernels() == &KernelsFor(expected) ? 0 : 1);
  };
  EXPECT_EXIT(choose("portable", KernelSet::kPortable), testing::ExitedWithCode(0), "");
  if (IsSupported(KernelSet::kAvx2)) {
    EXPECT_EXIT(choose("avx2", KernelSet::kAvx2), testing::ExitedWithCode(0), "");
  }
}

}  // namespace
}  // namespace predictd
