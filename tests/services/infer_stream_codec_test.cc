#include "server/services/infer_stream_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <inference/grpc_service.pb.h>

#include <string>
#include <vector>

namespace predictd {
namespace {

using google::protobuf::util::MessageDifferencer;
using inference::ModelInferRequest;
using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

ModelStreamInferResponse Parse(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  ModelStreamInferResponse message;
  EXPECT_TRUE(message.ParseFromString(bytes));
  return message;
}

InferLabels LabelsOf(const std::string& bytes) {
  grpc::ByteBuffer buffer = ToBuffer(bytes);
  InferLabels labels = ReadInferLabels(buffer);
  // Whoever parses it next finds all of it.
  EXPECT_EQ(buffer.Length(), bytes.size());
  return labels;
}

ModelInferRequest SomeRequest() {
  ModelInferRequest request;
  request.set_model_name("linear");
  request.set_model_version("3");
  request.set_id("the id");
  request.add_inputs()->set_name("x");
  request.add_raw_input_contents(std::string(10'000, 'r'));
  return request;
}

TEST(InferStreamCodecTest, AnAnswerIsWrappedWithoutAChange) {
  for (const size_t size : {size_t{0}, size_t{100}, size_t{100'000}}) {
    for (const bool last : {false, true}) {
      ModelInferResponse answer;
      answer.set_model_name("linear");
      answer.set_id("the id");
      (*answer.mutable_parameters())["ignored_parameters"].set_string_param("mine");
      answer.add_outputs()->set_name("y");
      answer.add_raw_output_contents(std::string(size, 'y'));
      const absl::StatusOr<grpc::ByteBuffer> wrapped = WrapInferAnswer(ToBuffer(answer.SerializeAsString()), last);
      ASSERT_TRUE(wrapped.ok());
      const ModelStreamInferResponse message = Parse(*wrapped);
      EXPECT_TRUE(message.error_message().empty());
      (*answer.mutable_parameters())["triton_final_response"].set_bool_param(last);
      EXPECT_TRUE(MessageDifferencer::Equals(message.infer_response(), answer));
    }
  }
}

TEST(InferStreamCodecTest, AnEmptyAnswerHasOnlyItsMark) {
  const ModelStreamInferResponse message = Parse(*WrapInferAnswer(ToBuffer(""), /*last=*/true));
  EXPECT_TRUE(message.has_infer_response());
  EXPECT_TRUE(message.infer_response().parameters().at("triton_final_response").bool_param());
}

TEST(InferStreamCodecTest, AnErrorSaysWhatItIsFor) {
  google::rpc::Status error;
  error.set_code(5);
  error.set_message("there is no such model");
  const InferLabels labels = {.model_name = "linear", .model_version = "3", .id = "the id"};
  ModelStreamInferResponse message = Parse(*EncodeInferError(error, labels));
  EXPECT_EQ(message.error_message(), "there is no such model");
  EXPECT_EQ(message.infer_response().model_name(), "linear");
  EXPECT_EQ(message.infer_response().model_version(), "3");
  EXPECT_EQ(message.infer_response().id(), "the id");
  EXPECT_TRUE(message.infer_response().parameters().at("triton_final_response").bool_param());
  EXPECT_EQ(message.infer_response().parameters().at("status_code").string_param(), "NOT_FOUND");
  // Clients take an error without text for an answer.
  error.clear_message();
  EXPECT_EQ(Parse(*EncodeInferError(error, labels)).error_message(), "NOT_FOUND");
}

TEST(InferStreamCodecTest, FindsTheLabelsWhateverElseThereIs) {
  const std::string whole = SomeRequest().SerializeAsString();
  const InferLabels labels = LabelsOf(whole);
  EXPECT_EQ(labels.model_name, "linear");
  EXPECT_EQ(labels.model_version, "3");
  EXPECT_EQ(labels.id, "the id");
  // They come first, so a message that is cut off still has them.
  EXPECT_EQ(LabelsOf(whole.substr(0, whole.size() / 2)).id, "the id");
  // A client may write them last.
  ModelInferRequest late;
  late.set_id("late");
  ModelInferRequest inputs = SomeRequest();
  inputs.clear_id();
  EXPECT_EQ(LabelsOf(inputs.SerializeAsString() + late.SerializeAsString()).id, "late");
}

TEST(InferStreamCodecTest, LeavesOutLabelsThatCannotBeShown) {
  ModelInferRequest request;
  request.set_id(std::string(257, 'i'));
  request.set_model_name("linear");
  EXPECT_EQ(LabelsOf(request.SerializeAsString()).id, "");
  EXPECT_EQ(LabelsOf(request.SerializeAsString()).model_name, "linear");
  EXPECT_EQ(LabelsOf("\x1a\x02\xff\xfe").id, "");
  EXPECT_EQ(LabelsOf("\x1a\x02\x69\x64").id, "id");
}

TEST(InferStreamCodecTest, GivesUpOnMessagesThatAreNone) {
  const std::string id = "\x1a\x02\x69\x64";
  for (const std::string& before :
       {std::string("\x00", 1), std::string("\x1b\x1c"), std::string("\x0a\xff\xff\xff\xff\xff\x01"),
        std::string("\x0a\x7f"), std::string("\x0f")}) {
    EXPECT_EQ(LabelsOf(before + id).id, "") << testing::PrintToString(before);
  }
  std::string many;
  for (int i = 0; i < 1'000'000; ++i) many += std::string("\x38\x01");
  EXPECT_EQ(LabelsOf(many + id).id, "");
  EXPECT_EQ(LabelsOf("").id, "");
}

}  // namespace
}  // namespace predictd
