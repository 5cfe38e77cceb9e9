#include "client/predictctl/request_cutter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;

v1::PredictStreamRequest RequestWith(const std::vector<v1::Tensor>& inputs) {
  v1::PredictStreamRequest request;
  request.mutable_predict()->set_model_name("m");
  request.mutable_predict()->set_request_id("r");
  (*request.mutable_predict()->mutable_parameters())["priority"].set_int64_value(4);
  request.mutable_predict()->add_outputs("y");
  request.set_ordered(true);
  request.set_on_error(v1::CHUNK_ERROR_POLICY_PER_ITEM);
  for (const v1::Tensor& input : inputs) *request.mutable_predict()->add_inputs() = input;
  return request;
}

v1::Tensor Numbers(std::int64_t rows) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < rows; ++i) values.push_back(1000 + i);
  return *MakeTensor<std::int64_t>("x", {rows, 1}, values);
}

std::vector<v1::PredictStreamRequest> PartsOf(const v1::PredictStreamRequest& request, std::int64_t max_bytes,
                                              Encoding encoding = Encoding::kRaw) {
  RequestCutter cutter(request, encoding, max_bytes);
  std::vector<v1::PredictStreamRequest> parts;
  std::int64_t rows = 0;
  while (!cutter.at_end()) {
    EXPECT_EQ(cutter.first_row(), rows);
    const absl::StatusOr<v1::PredictStreamRequest> part = cutter.Next();
    EXPECT_TRUE(part.ok()) << part.status();
    if (!part.ok()) break;
    rows += part->predict().inputs(0).shape(0);
    EXPECT_EQ(cutter.has_cut(), part->predict().inputs(0).shape(0) < cutter.rows());
    parts.push_back(*part);
  }
  return parts;
}

std::vector<std::int64_t> ValuesOf(const std::vector<v1::PredictStreamRequest>& parts) {
  std::vector<std::int64_t> all;
  for (const v1::PredictStreamRequest& part : parts) {
    const std::vector<std::int64_t> values = *TensorValues<std::int64_t>(part.predict().inputs(0));
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

TEST(RequestCutterTest, WhatFitsIsSentAsItIs) {
  const v1::PredictStreamRequest request = RequestWith({Numbers(100)});
  const auto parts = PartsOf(request, static_cast<std::int64_t>(request.ByteSizeLong()));
  ASSERT_EQ(parts.size(), 1);
  EXPECT_EQ(parts[0].SerializeAsString(), request.SerializeAsString());
}

TEST(RequestCutterTest, PartsFitAndHaveAllRowsInOrder) {
  const v1::PredictStreamRequest request = RequestWith({Numbers(1000)});
  for (const Encoding encoding : {Encoding::kRaw, Encoding::kTyped}) {
    for (const std::int64_t max_bytes : {150, 1000, 5000}) {
      const auto parts = PartsOf(request, max_bytes, encoding);
      for (const auto& part : parts) {
        EXPECT_LE(part.ByteSizeLong(), max_bytes);
        EXPECT_EQ(part.predict().inputs(0).raw().empty(), encoding == Encoding::kTyped);
      }
      EXPECT_LT(parts.size(), 3 * request.ByteSizeLong() / (max_bytes - 70))
          << "they are not much smaller than allowed";
      EXPECT_EQ(ValuesOf(parts), *TensorValues<std::int64_t>(Numbers(1000))) << max_bytes;
    }
  }
}

TEST(RequestCutterTest, EachPartAsksTheSame) {
  v1::PredictStreamRequest request = RequestWith({Numbers(100)});
  request.set_chunk_rows(7);
  for (v1::PredictStreamRequest part : PartsOf(request, 300)) {
    part.mutable_predict()->clear_inputs();
    v1::PredictStreamRequest whole = request;
    whole.mutable_predict()->clear_inputs();
    EXPECT_EQ(part.DebugString(), whole.DebugString());
  }
}

TEST(RequestCutterTest, PartsAreWholeChunks) {
  v1::PredictStreamRequest request = RequestWith({Numbers(100)});
  request.set_chunk_rows(7);
  const auto parts = PartsOf(request, 300);
  ASSERT_GT(parts.size(), 2);
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) EXPECT_EQ(parts[i].predict().inputs(0).shape(0) % 7, 0);
}

TEST(RequestCutterTest, RowsOfDifferentSizesFitToo) {
  std::vector<std::string> texts;
  for (int i = 0; i < 60; ++i) texts.emplace_back(i < 30 ? 1 : 100, 'x');
  const v1::PredictStreamRequest request = RequestWith({*MakeBytesTensor("x", {60}, texts)});
  for (const Encoding encoding : {Encoding::kRaw, Encoding::kTyped}) {
    std::int64_t rows = 0;
    for (const auto& part : PartsOf(request, 400, encoding)) {
      EXPECT_LE(part.ByteSizeLong(), 400);
      rows += part.predict().inputs(0).shape(0);
    }
    EXPECT_EQ(rows, 60);
  }
}

TEST(RequestCutterTest, ARowIsNeverCut) {
  const auto parts = PartsOf(RequestWith({*MakeTensor<float>("x", {3, 100}, std::vector<float>(300))}), 100);
  ASSERT_EQ(parts.size(), 3);
  EXPECT_THAT(parts[0].predict().inputs(0).shape(), ElementsAre(1, 100));
}

TEST(RequestCutterTest, InputsWithoutCommonRowsAreNotCut) {
  const v1::Tensor scalar = *MakeTensor<float>("s", {}, {1});
  for (const auto& inputs : std::vector<std::vector<v1::Tensor>>{
           {Numbers(100), scalar}, {scalar, Numbers(100)}, {Numbers(100), Numbers(99)}, {Numbers(0)}, {}}) {
    RequestCutter cutter(RequestWith(inputs), Encoding::kRaw, 100);
    EXPECT_EQ(cutter.rows(), 0);
    EXPECT_TRUE(cutter.Next().ok());
    EXPECT_TRUE(cutter.at_end());
    EXPECT_FALSE(cutter.has_cut());
  }
}

}  // namespace
}  // namespace predictd
