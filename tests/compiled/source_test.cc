#include "server/compiled/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace predictd {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// What PyTorch 2.13 generates for a module with a buffer that it adds to, of two inputs: tokens by keyword, and a mask
// that it overwrites.
constexpr char kSource[] = R"(
    inputs_info_[0].name = "arg1_1";
    inputs_info_[1].name = "arg2_1";
    constants_info_[0].name = "total";
    constants_info_[0].dtype = cached_torch_dtype_float32;
    constants_info_[1].name = "weight";
AOTI_NOINLINE static void check_input_0(
    AtenTensorHandle* input_handles
) {
    ConstantHandle arg1_1 = ConstantHandle(input_handles[0]);
    int32_t arg1_1_dtype;
    int32_t arg1_1_expected_dtype = aoti_torch_dtype_int64();
    if (arg1_1_expected_dtype != arg1_1_dtype) {
        std::stringstream ss;
    }
    auto arg1_1_size = arg1_1.sizes();
    if (arg1_1_size[0] < 2) {
    if (arg1_1_size[0] > 64) {
    if (4 != arg1_1_size[1]) {
    if (arg1_1_size[2] < 4) {
    if (4 != arg1_1_stride[1]) {
    int32_t arg2_1_expected_dtype = aoti_torch_dtype_bool();
    if (arg2_1_size[0] < 2) {
void AOTInductorModel::run_impl(
    auto arg1_1_size = arg1_1.sizes();
    int64_t s77 = arg1_1_size[0];
    int64_t s98 = s77;
    if (_check_aoti_runtime_check_inputs_env()) { assert_size_stride(arg1_1, {s77, 4L, 2L*s3}, {8L*s3, 2L*s3, 1L}, "input"); }
    if (_check_aoti_runtime_check_inputs_env()) { assert_size_stride(arg2_1, {s77}, {1L}, "input"); }
    cpp_fused_0((const int64_t*)(arg1_1.data_ptr()), (const float*)(weight.data_ptr()), (bool*)(arg2_1.data_ptr()), s77);
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_cpu_index_put_out(total, arg1_1, buf0));
    if (_check_aoti_runtime_check_inputs_env()) { assert_size_stride(buf2, {u0, 2L}, {1L, u0}, "torch.ops.aten.nonzero.default"); }
    output_handles[0] = buf2.release();
    aoti_torch_clone(total, &output_handles[2]);
)";

TEST(CompiledSourceTest, SaysWhatInputsMustBe) {
  const absl::StatusOr<CompiledSource> source = ReadCompiledSource(kSource);
  ASSERT_TRUE(source.ok()) << source.status();
  ASSERT_THAT(source->inputs, SizeIs(2));
  const CompiledInput& tokens = source->inputs[0];
  EXPECT_EQ(tokens.name, "arg1_1");
  EXPECT_EQ(tokens.dtype, "int64");
  ASSERT_THAT(tokens.extents, SizeIs(3));
  EXPECT_EQ(tokens.extents[0].least, 2);
  EXPECT_EQ(tokens.extents[0].most, 64);
  EXPECT_EQ(tokens.extents[0].size->linear()->symbol, "s77");
  EXPECT_EQ(tokens.extents[1].fixed, 4);
  EXPECT_EQ(tokens.extents[2].least, 4);
  EXPECT_EQ(tokens.extents[2].most, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(tokens.extents[2].size->linear()->factor, 2);
  ASSERT_THAT(tokens.strides, SizeIs(3));
  EXPECT_EQ(tokens.strides[0]->Evaluate({{"s3", 5}}), 40);
  EXPECT_EQ(source->inputs[1].dtype, "bool");
  EXPECT_THAT(source->inputs[1].extents, SizeIs(1));
}

TEST(CompiledSourceTest, SaysWhatARunWritesTo) {
  const absl::StatusOr<CompiledSource> source = ReadCompiledSource(kSource);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_FALSE(source->inputs[0].written);
  EXPECT_TRUE(source->inputs[1].written);
  EXPECT_THAT(source->written_constants, ElementsAre("total"));
}

TEST(CompiledSourceTest, WhatWritesToAViewWritesToTheWhole) {
  const std::string text = std::string(kSource) + R"(
    auto var_0 = wrap_with_raii_handle_if_needed(reinterpret_tensor_wrapper(weight, 1, int_array_0, int_array_1, 0L));
    auto var_1 = wrap_with_raii_handle_if_needed(reinterpret_tensor_wrapper(var_0, 1, int_array_0, int_array_1, 0L));
    cpp_fused_1((float*)(var_1.data_ptr()), (const float*)(buf0.data_ptr()));
    aoti_torch_cpu_copy_(wrap_with_raii_handle_if_needed(reinterpret_tensor_wrapper(arg1_1, 1, a, b, 0L)), buf0, 0);
)";
  const absl::StatusOr<CompiledSource> source = ReadCompiledSource(text);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT(source->written_constants, ElementsAre("total", "weight"));
  EXPECT_TRUE(source->inputs[0].written);
}

TEST(CompiledSourceTest, SaysWhichOutputsAreTensors) {
  const absl::StatusOr<CompiledSource> source = ReadCompiledSource(kSource);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT(source->outputs, ElementsAre(0, 2));
}

TEST(CompiledSourceTest, AnInputThatNothingUsesHasNoSizes) {
  std::string text = kSource;
  text.erase(text.find("    if (_check_aoti_runtime_check_inputs_env()) { assert_size_stride(arg2_1"), 116);
  const absl::StatusOr<CompiledSource> source = ReadCompiledSource(text);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_TRUE(source->inputs[0].used);
  EXPECT_FALSE(source->inputs[1].used);
  text +=
      "auto var_0 = wrap_with_raii_handle_if_needed(reinterpret_tensor_wrapper(arg2_1, 1, int_array_0, int_array_1, "
      "0L));";
  EXPECT_TRUE(ReadCompiledSource(text)->inputs[1].used) << "an output is a view of it";
}

TEST(CompiledSourceTest, SymbolsAreReadWhereNothingIsAsserted) {
  std::string text = kSource;
  for (size_t at = text.find("assert_size"); at != std::string::npos; at = text.find("assert_size")) text.erase(at, 6);
  const absl::StatusOr<CompiledSource> source = ReadCompiledSource(text);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(source->inputs[0].extents[0].size->linear()->symbol, "s77");
  EXPECT_FALSE(source->inputs[0].extents[2].size.has_value());
  EXPECT_TRUE(source->inputs[1].used);
}

TEST(CompiledSourceTest, OtherTextsAreRefused) {
  EXPECT_EQ(ReadCompiledSource("").status().code(), absl::StatusCode::kFailedPrecondition);
  std::string without_checks = kSource;
  for (size_t at = without_checks.find("_expected_dtype"); at != std::string::npos;
       at = without_checks.find("_expected_dtype")) {
    without_checks.erase(at, 2);
  }
  EXPECT_EQ(ReadCompiledSource(without_checks).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(CompiledSourceTest, DamagedTextsAreReadToTheirEnd) {
  std::mt19937 random(5);
  for (int i = 0; i < 500; ++i) {
    std::string damaged = kSource;
    for (int changes = 0; changes < 8; ++changes) damaged[random() % damaged.size()] = static_cast<char>(random());
    damaged.resize(random() % damaged.size());
    const absl::StatusOr<CompiledSource> source = ReadCompiledSource(damaged);
    EXPECT_TRUE(source.ok() || absl::IsFailedPrecondition(source.status()));
  }
}

}  // namespace
}  // namespace predictd
