#include "client/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "client/call_context.h"

namespace predictd {
inline namespace client {
namespace {

constexpr std::int64_t kMaxInt = std::numeric_limits<int>::max();

absl::Status CheckConnection(const ClientOptions& options) {
  if (options.address.empty()) return absl::InvalidArgumentError("address: expected host:port, got nothing");
  for (const auto& [name, bytes] : {std::pair{"max_receive_bytes", options.max_receive_bytes},
                                    std::pair{"max_send_bytes", options.max_send_bytes}}) {
    if (bytes < 1 || bytes > kMaxInt) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": expected 1 to ", kMaxInt, ", got ", bytes));
    }
  }
  if (options.keepalive_interval < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError("keepalive_interval: expected at least 1ms");
  }
  if (options.keepalive_timeout < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError("keepalive_timeout: expected at least 1ms");
  }
  return absl::OkStatus();
}

int ClampedMilliseconds(absl::Duration duration) {
  return static_cast<int>(std::min(absl::ToInt64Milliseconds(duration), kMaxInt));
}

grpc::ChannelArguments ArgumentsOf(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_receive_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(options.max_send_bytes));
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, options.use_http_proxy ? 1 : 0);
  if (!options.server_name.empty()) {
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, options.server_name);
    arguments.SetSslTargetNameOverride(options.server_name);
  }
  if (options.own_connection) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!options.user_agent.empty()) arguments.SetUserAgentPrefix(options.user_agent);
  if (options.keepalive_interval != absl::InfiniteDuration()) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, ClampedMilliseconds(options.keepalive_interval));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ClampedMilliseconds(options.keepalive_timeout));
    // By default gRPC stops probing after two probes without a message from us, and on a stream none follows the
    // request.
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  }
  return arguments;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Create(const ClientOptions& options) {
  if (absl::Status check = CheckConnection(options); !check.ok()) return check;
  const std::shared_ptr<grpc::ChannelCredentials> credentials =
      options.credentials != nullptr ? options.credentials : grpc::InsecureChannelCredentials();
  return OverChannel(grpc::CreateCustomChannel(options.address, credentials, ArgumentsOf(options)), options);
}

absl::StatusOr<std::unique_ptr<Client>> Client::OverChannel(const std::shared_ptr<grpc::ChannelInterface>& channel,
                                                            const ClientOptions& options) {
  return WithStubs(v1::PredictionService::NewStub(channel), v1::ModelService::NewStub(channel), options);
}

absl::StatusOr<std::unique_ptr<Client>> Client::WithStubs(
    std::unique_ptr<v1::PredictionService::StubInterface> predictions,
    std::unique_ptr<v1::ModelService::StubInterface> models, const ClientOptions& options) {
  if (absl::Status check = CheckMetadata(options.metadata); !check.ok()) return check;
  return absl::WrapUnique(new Client(options, std::move(predictions), std::move(models)));
}

Client::Client(ClientOptions options, std::unique_ptr<v1::PredictionService::StubInterface> predictions,
               std::unique_ptr<v1::ModelService::StubInterface> models)
    : options_(std::move(options)), predictions_(std::move(predictions)), models_(std::move(models)) {}

absl::StatusOr<std::unique_ptr<CallContext>> Client::StartCall(const google::protobuf::Message& request,
                                                               const CallOptions& options) const {
  // gRPC would find this itself, but it ends the process over a request of 2 GiB or more.
  const std::size_t bytes = request.ByteSizeLong();
  if (bytes > static_cast<std::size_t>(options_.max_send_bytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the request has ", bytes, " bytes, and the client sends at most ", options_.max_send_bytes));
  }
  return CallContext::Create(options_.metadata, options, options_.default_deadline);
}

template <typename Response, typename Stub, typename Request>
absl::StatusOr<Response> Client::CallUnary(Stub& stub,
                                           grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                                        Response*),
                                           const Request& request, const CallOptions& options, CallInfo* info) const {
  const absl::StatusOr<std::unique_ptr<CallContext>> context = StartCall(request, options);
  if (!context.ok()) return context.status();
  Response response;
  const grpc::Status status = (stub.*method)((*context)->grpc(), request, &response);
  if (absl::Status result = (*context)->Finish(status, info); !result.ok()) return result;
  return response;
}

absl::StatusOr<v1::ListModelsResponse> Client::ListModels(const CallOptions& options, CallInfo* info) const {
  v1::ListModelsRequest request;
  absl::StatusOr<v1::ListModelsResponse> all =
      CallUnary(*models_, &v1::ModelService::StubInterface::ListModels, request, options, info);
  while (all.ok() && !all->next_page_token().empty()) {
    request.set_page_token(all->next_page_token());
    absl::StatusOr<v1::ListModelsResponse> page =
        CallUnary(*models_, &v1::ModelService::StubInterface::ListModels, request, options, info);
    if (!page.ok()) return page.status();
    if (page->next_page_token() == request.page_token()) return absl::InternalError("the list of models has no end");
    all->mutable_models()->MergeFrom(page->models());
    all->set_next_page_token(page->next_page_token());
  }
  return all;
}

absl::StatusOr<v1::Model> Client::GetModel(absl::string_view name, const CallOptions& options, CallInfo* info,
                                           std::int64_t version) const {
  v1::GetModelRequest request;
  request.set_model_name(std::string(name));
  request.set_model_version(version);
  absl::StatusOr<v1::GetModelResponse> response =
      CallUnary(*models_, &v1::ModelService::StubInterface::GetModel, request, options, info);
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_model());
}

template <typename Request, typename Response>
absl::StatusOr<v1::Model> Client::CallByName(
    grpc::Status (v1::ModelService::StubInterface::*method)(grpc::ClientContext*, const Request&, Response*),
    absl::string_view name, const CallOptions& options, CallInfo* info) const {
  Request request;
  request.set_model_name(std::string(name));
  absl::StatusOr<Response> response = CallUnary(*models_, method, request, options, info);
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_model());
}

absl::StatusOr<v1::Model> Client::LoadModel(absl::string_view name, const CallOptions& options, CallInfo* info) const {
  return CallByName(&v1::ModelService::StubInterface::LoadModel, name, options, info);
}

absl::StatusOr<v1::Model> Client::UnloadModel(absl::string_view name, const CallOptions& options,
                                              CallInfo* info) const {
  return CallByName(&v1::ModelService::StubInterface::UnloadModel, name, options, info);
}

absl::StatusOr<v1::Model> Client::ReloadModel(absl::string_view name, const CallOptions& options,
                                              CallInfo* info) const {
  return CallByName(&v1::ModelService::StubInterface::ReloadModel, name, options, info);
}

absl::StatusOr<v1::SetTrafficSplitResponse> Client::SetTrafficSplit(const v1::SetTrafficSplitRequest& request,
                                                                    const CallOptions& options, CallInfo* info) const {
  return CallUnary(*models_, &v1::ModelService::StubInterface::SetTrafficSplit, request, options, info);
}

absl::StatusOr<v1::PredictResponse> Client::Predict(const v1::PredictRequest& request, const CallOptions& options,
                                                    CallInfo* info) const {
  return CallUnary(*predictions_, &v1::PredictionService::StubInterface::Predict, request, options, info);
}

absl::StatusOr<std::unique_ptr<PredictionStream>> Client::PredictStream(const v1::PredictStreamRequest& request,
                                                                        const CallOptions& options) const {
  absl::StatusOr<std::unique_ptr<CallContext>> context = StartCall(request, options);
  if (!context.ok()) return context.status();
  std::unique_ptr<grpc::ClientReaderInterface<v1::PredictStreamResponse>> reader =
      predictions_->PredictStream((*context)->grpc(), request);
  return std::make_unique<PredictionStream>(std::move(*context), std::move(reader));
}

absl::StatusOr<std::unique_ptr<ModelWatch>> Client::WatchModels(absl::string_view name,
                                                                const CallOptions& options) const {
  v1::WatchModelsRequest request;
  request.set_model_name(std::string(name));
  absl::StatusOr<std::unique_ptr<CallContext>> context = StartCall(request, options);
  if (!context.ok()) return context.status();
  std::unique_ptr<grpc::ClientReaderInterface<v1::WatchModelsResponse>> reader =
      models_->WatchModels((*context)->grpc(), request);
  return std::make_unique<ModelWatch>(std::move(*context), std::move(reader));
}

}  // namespace client
}  // namespace predictd
