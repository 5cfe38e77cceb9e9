#include "server/compiled/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace predictd {
namespace {

using testing::HasSubstr;

Machine Avx2Machine() {
  return {"linux", "x86_64", {"avx2", "fma", "f16c"}};
}

std::string Metadata(const std::string& device, const std::string& machine, const std::string& isa) {
  return R"({"AOTI_DEVICE_KEY": ")" + device + R"(", "AOTI_PLATFORM": "linux", "AOTI_MACHINE": ")" + machine +
         R"(", "AOTI_CPU_ISA": ")" + isa + "\"}";
}

std::string Refusal(const std::string& metadata, const Machine& machine = Avx2Machine()) {
  return std::string(CheckCompiledTarget(metadata, machine).message());
}

TEST(CompiledTargetTest, WhatTheMachineHasIsFine) {
  EXPECT_EQ(Refusal(Metadata("cpu", "x86_64", "AVX2")), "");
  EXPECT_EQ(Refusal(Metadata("cpu", "x86_64", "INVALID_VEC_ISA")), "");
  EXPECT_EQ(Refusal(R"({"AOTI_DEVICE_KEY": "cpu"})"), "");
}

TEST(CompiledTargetTest, OtherMachinesAreNamed) {
  EXPECT_THAT(Refusal(Metadata("cuda", "x86_64", "AVX2")), HasSubstr("for the device 'cuda'"));
  EXPECT_THAT(Refusal(Metadata("cpu", "aarch64", "ASIMD")), HasSubstr("linux on aarch64, and this is linux on x86_64"));
  EXPECT_THAT(Refusal(Metadata("cpu", "x86_64", "AVX512 AVX512_VNNI")),
              HasSubstr("with AVX512 AVX512_VNNI, and this one has no avx512f"));
  EXPECT_THAT(Refusal("nonsense"), HasSubstr("metadata"));
}

TEST(CompiledTargetTest, FeaturesThatAreNotKnownAreNotMissing) {
  EXPECT_EQ(Refusal(Metadata("cpu", "x86_64", "AVX512"), {"linux", "x86_64", {}}), "");
}

TEST(CompiledTargetTest, ThisMachineIsKnown) {
  EXPECT_FALSE(ThisMachine().architecture.empty());
  EXPECT_FALSE(ThisMachine().features.empty());
}

}  // namespace
}  // namespace predictd
