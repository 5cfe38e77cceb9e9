#include "server/rpc/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpc/health/v1/health.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <predictd/v1/prediction_service.pb.h>

#include <set>
#include <string>
#include <vector>

namespace predictd {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptorProto;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

const std::vector<std::string> kServices = {"predictd.v1.PredictionService", "grpc.health.v1.Health"};

class ReflectionTest : public testing::Test {
 protected:
  // The linker leaves out the descriptors of messages that nothing uses.
  static void SetUpTestSuite() {
    v1::PredictRequest::descriptor();
    grpc::health::v1::HealthCheckRequest::descriptor();
  }
};

ServerReflectionResponse BySymbol(const std::string& symbol) {
  ServerReflectionRequest request;
  request.set_file_containing_symbol(symbol);
  return Reflect(request, kServices);
}

// Builds the files in the order in which they came, as a client does. Fails the test if one refers to a later one.
void Build(const ServerReflectionResponse& response, DescriptorPool& pool) {
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(bytes));
    ASSERT_NE(pool.BuildFile(file), nullptr) << file.name();
  }
}

TEST_F(ReflectionTest, ListsTheServicesThatTheServerOffers) {
  ServerReflectionRequest request;
  request.set_host("the host");
  request.set_list_services("*");
  const ServerReflectionResponse response = Reflect(request, kServices);
  ASSERT_EQ(response.list_services_response().service_size(), 2);
  EXPECT_EQ(response.list_services_response().service(0).name(), kServices[0]);
  EXPECT_EQ(response.list_services_response().service(1).name(), kServices[1]);
  EXPECT_EQ(response.valid_host(), "the host");
  EXPECT_EQ(response.original_request().ShortDebugString(), request.ShortDebugString());
}

TEST_F(ReflectionTest, FilesOfAServiceAreEnoughToCallIt) {
  DescriptorPool pool;
  Build(BySymbol("predictd.v1.PredictionService"), pool);
  const auto* service = pool.FindServiceByName("predictd.v1.PredictionService");
  ASSERT_NE(service, nullptr);
  ASSERT_NE(service->FindMethodByName("Predict"), nullptr);
  EXPECT_TRUE(service->FindMethodByName("PredictStream")->server_streaming());
  EXPECT_NE(pool.FindMessageTypeByName("predictd.v1.Tensor"), nullptr);
}

TEST_F(ReflectionTest, EachFileComesOnce) {
  const ServerReflectionResponse response = BySymbol("predictd.v1.PredictionService");
  std::set<std::string> names;
  for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
    FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(bytes));
    EXPECT_TRUE(names.insert(file.name()).second) << file.name();
  }
  EXPECT_TRUE(names.contains("predictd/v1/tensor.proto"));
}

TEST_F(ReflectionTest, SymbolsOfEveryKindAreFound) {
  for (const char* symbol :
       {"predictd.v1.PredictionService", "predictd.v1.PredictionService.Predict", "predictd.v1.Tensor",
        "predictd.v1.Tensor.raw", "predictd.v1.DataType", "predictd.v1.DATA_TYPE_FP32", "grpc.health.v1.Health",
        "google.rpc.BadRequest", "google.rpc.RetryInfo", "grpc.reflection.v1alpha.ServerReflection"}) {
    DescriptorPool pool;
    Build(BySymbol(symbol), pool);
    EXPECT_NE(pool.FindFileContainingSymbol(symbol), nullptr) << symbol;
  }
}

TEST_F(ReflectionTest, FileIsFoundByItsName) {
  ServerReflectionRequest request;
  request.set_file_by_filename("predictd/v1/tensor.proto");
  DescriptorPool pool;
  Build(Reflect(request, kServices), pool);
  EXPECT_NE(pool.FindFileByName("predictd/v1/tensor.proto"), nullptr);
}

TEST_F(ReflectionTest, ExtensionNumbersOfATypeWithoutExtensionsAreNone) {
  ServerReflectionRequest request;
  request.set_all_extension_numbers_of_type("predictd.v1.Tensor");
  const ServerReflectionResponse response = Reflect(request, kServices);
  EXPECT_EQ(response.all_extension_numbers_response().base_type_name(), "predictd.v1.Tensor");
  EXPECT_EQ(response.all_extension_numbers_response().extension_number_size(), 0);
}

TEST_F(ReflectionTest, WhatDoesNotExistIsNotFoundAndNamed) {
  ServerReflectionRequest file;
  file.set_file_by_filename("none.proto");
  ServerReflectionRequest symbol;
  symbol.set_file_containing_symbol("no.Such");
  ServerReflectionRequest extension;
  extension.mutable_file_containing_extension()->set_containing_type("predictd.v1.Tensor");
  extension.mutable_file_containing_extension()->set_extension_number(7);
  ServerReflectionRequest extension_of_none;
  extension_of_none.mutable_file_containing_extension()->set_containing_type("no.Such");
  ServerReflectionRequest numbers;
  numbers.set_all_extension_numbers_of_type("no.Such");
  const std::vector<std::pair<ServerReflectionRequest, std::string>> cases = {
      {file, "there is no file none.proto"},
      {symbol, "there is no symbol no.Such"},
      {extension, "there is no extension 7 of predictd.v1.Tensor"},
      {extension_of_none, "there is no extension 0 of no.Such"},
      {numbers, "there is no message type no.Such"}};
  for (const auto& [request, message] : cases) {
    const ServerReflectionResponse response = Reflect(request, kServices);
    EXPECT_EQ(response.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(response.error_response().error_message(), message);
  }
}

TEST_F(ReflectionTest, RequestForNothingIsInvalid) {
  const ServerReflectionResponse response = Reflect({}, kServices);
  EXPECT_EQ(response.error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace predictd
