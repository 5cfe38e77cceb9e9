#include "server/rpc/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpc/reflection/v1alpha/reflection.pb.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <set>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "proto/descriptors.h"

namespace predictd {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

// The pool of all generated code. It is reached through v1alpha, whose messages nothing else uses because they are
// those of v1: without a use the linker would leave them out.
const DescriptorPool& Pool() {
  return *grpc::reflection::v1alpha::ServerReflectionRequest::descriptor()->file()->pool();
}

void SetNotFound(const std::string& what, ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
  response.mutable_error_response()->set_error_message(absl::StrCat("there is no ", what));
}

// With the names of JSON, grpcurl would show fields otherwise than the protocol's files and its own `describe` do.
void ForgetJsonNames(google::protobuf::DescriptorProto& message) {
  for (auto& field : *message.mutable_field()) field.clear_json_name();
  for (auto& nested : *message.mutable_nested_type()) ForgetJsonNames(nested);
}

// Files by name, serialized, with their comments.
std::map<std::string, std::string> ReadDocumentedFiles() {
  const std::string_view bytes = DescriptorSetWithComments();
  google::protobuf::FileDescriptorSet set;
  set.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  std::map<std::string, std::string> files;
  for (auto& file : *set.mutable_file()) {
    for (auto& message : *file.mutable_message_type()) ForgetJsonNames(message);
    files.emplace(file.name(), file.SerializeAsString());
  }
  return files;
}

// Adds the file after everything that it imports.
void AddFile(const FileDescriptor& file, std::set<const FileDescriptor*>& added, ServerReflectionResponse& response) {
  static const std::map<std::string, std::string> documented = ReadDocumentedFiles();
  if (!added.insert(&file).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), added, response);
  std::string& bytes = *response.mutable_file_descriptor_response()->add_file_descriptor_proto();
  if (const auto found = documented.find(file.name()); found != documented.end()) {
    bytes = found->second;
    return;
  }
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  proto.SerializeToString(&bytes);
}

void SetFile(const FileDescriptor* file, const std::string& what, ServerReflectionResponse& response) {
  std::set<const FileDescriptor*> added;
  file == nullptr ? SetNotFound(what, response) : AddFile(*file, added, response);
}

void SetExtensionNumbers(const std::string& type, ServerReflectionResponse& response) {
  const Descriptor* message = Pool().FindMessageTypeByName(type);
  if (message == nullptr) return SetNotFound(absl::StrCat("message type ", type), response);
  std::vector<const FieldDescriptor*> extensions;
  Pool().FindAllExtensions(message, &extensions);
  response.mutable_all_extension_numbers_response()->set_base_type_name(type);
  for (const FieldDescriptor* extension : extensions) {
    response.mutable_all_extension_numbers_response()->add_extension_number(extension->number());
  }
}

}  // namespace

ServerReflectionResponse Reflect(const ServerReflectionRequest& request, const std::vector<std::string>& services) {
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename: {
      const std::string& name = request.file_by_filename();
      SetFile(Pool().FindFileByName(name), absl::StrCat("file ", name), response);
      break;
    }
    case ServerReflectionRequest::kFileContainingSymbol: {
      const std::string& symbol = request.file_containing_symbol();
      SetFile(Pool().FindFileContainingSymbol(symbol), absl::StrCat("symbol ", symbol), response);
      break;
    }
    case ServerReflectionRequest::kFileContainingExtension: {
      const auto& wanted = request.file_containing_extension();
      const Descriptor* message = Pool().FindMessageTypeByName(wanted.containing_type());
      const FieldDescriptor* extension =
          message == nullptr ? nullptr : Pool().FindExtensionByNumber(message, wanted.extension_number());
      SetFile(extension == nullptr ? nullptr : extension->file(),
              absl::StrCat("extension ", wanted.extension_number(), " of ", wanted.containing_type()), response);
      break;
    }
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      SetExtensionNumbers(request.all_extension_numbers_of_type(), response);
      break;
    case ServerReflectionRequest::kListServices:
      for (const std::string& service : services)
        response.mutable_list_services_response()->add_service()->set_name(service);
      break;
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      response.mutable_error_response()->set_error_message("the request asks for nothing");
      break;
  }
  return response;
}

}  // namespace predictd
