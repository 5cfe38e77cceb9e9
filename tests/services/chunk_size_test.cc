#include "server/services/chunk_size.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

Signature WithOutputs(std::vector<TensorSpec> outputs) {
  Signature signature;
  signature.inputs = {{"x", DType::kFp32, {-1, -1}}};
  signature.outputs = std::move(outputs);
  signature.max_batch_size = 64;
  return signature;
}

int64_t Rows(const Signature& signature, Encoding encoding = Encoding::kRaw, const std::vector<int>& outputs = {0}) {
  return DefaultChunkRows(signature, {Floats({1, 3}, {1, 2, 3})}, outputs, encoding);
}

TEST(ChunkSizeTest, SmallResultsHaveAWholeBatch) {
  EXPECT_EQ(Rows(WithOutputs({{"y", DType::kFp32, {-1, 1000}}})), 64);
}

TEST(ChunkSizeTest, ResultsStayBelowWhatClientsTake) {
  // 400,000 bytes a row: ten of them are below 4 MiB, eleven are not.
  EXPECT_EQ(Rows(WithOutputs({{"y", DType::kFp32, {-1, 100, 1000}}})), 10);
  // As varints of INT64 they may be larger by a quarter.
  EXPECT_EQ(Rows(WithOutputs({{"y", DType::kInt64, {-1, 50'000}}}), Encoding::kRaw), 10);
  EXPECT_EQ(Rows(WithOutputs({{"y", DType::kInt64, {-1, 50'000}}}), Encoding::kTyped), 8);
}

TEST(ChunkSizeTest, OnlyOutputsThatAreSentCount) {
  const Signature signature = WithOutputs({{"y", DType::kFp32, {-1, 10}}, {"z", DType::kFp32, {-1, 100'000}}});
  EXPECT_EQ(Rows(signature, Encoding::kRaw, {0}), 64);
  EXPECT_EQ(Rows(signature, Encoding::kRaw, {1}), 10);
  EXPECT_EQ(Rows(signature, Encoding::kRaw, {0, 1}), 10);
}

TEST(ChunkSizeTest, ARowThatIsTooLargeComesAlone) {
  EXPECT_EQ(Rows(WithOutputs({{"y", DType::kFp64, {-1, 1'000'000}}})), 1);
  EXPECT_EQ(Rows(WithOutputs({{"y", DType::kFp64, {-1, 1'000'000, 1'000'000, 1'000'000, 1'000'000}}})), 1);
}

TEST(ChunkSizeTest, APaddedLengthIsThatOfTheRequest) {
  Signature signature = WithOutputs({{"y", DType::kFp32, {-1, -1, 40'000}}});
  EXPECT_EQ(Rows(signature), 25) << "what only the model knows counts as 1";
  signature.padding.lengths = {{0, "x", 1, {4, 8}}};
  signature.padding.inputs = {{0, 1, 0, {}}};
  signature.padding.outputs = {{0, 1, 0}};
  EXPECT_EQ(Rows(signature), 8) << "three of them";
}

}  // namespace
}  // namespace predictd
