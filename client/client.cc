#include "client/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "client/call_context.h"

namespace predictd {
namespace {

constexpr std::int64_t kMaxInt = std::numeric_limits<int>::max();

absl::Status CheckOptions(const ClientOptions& options) {
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
  return CheckMetadata(options.metadata);
}

int ClampedMilliseconds(absl::Duration duration) {
  return static_cast<int>(std::min(absl::ToInt64Milliseconds(duration), kMaxInt));
}

grpc::ChannelArguments ArgumentsOf(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_receive_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(options.max_send_bytes));
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, options.use_http_proxy ? 1 : 0);
  if (!options.user_agent.empty()) arguments.SetUserAgentPrefix(options.user_agent);
  if (options.keepalive_interval != absl::InfiniteDuration()) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, ClampedMilliseconds(options.keepalive_interval));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ClampedMilliseconds(options.keepalive_timeout));
  }
  return arguments;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Create(const ClientOptions& options) {
  if (absl::Status check = CheckOptions(options); !check.ok()) return check;
  const std::shared_ptr<grpc::ChannelCredentials> credentials =
      options.credentials != nullptr ? options.credentials : grpc::InsecureChannelCredentials();
  return absl::WrapUnique(
      new Client(options, grpc::CreateCustomChannel(options.address, credentials, ArgumentsOf(options))));
}

Client::Client(ClientOptions options, const std::shared_ptr<grpc::Channel>& channel)
    : options_(std::move(options)),
      predictions_(v1::PredictionService::NewStub(channel)),
      models_(v1::ModelService::NewStub(channel)) {}

absl::StatusOr<std::unique_ptr<CallContext>> Client::StartCall(const CallOptions& options) const {
  return CallContext::Create(options_.metadata, options, options_.default_deadline);
}

template <typename Response, typename Stub, typename Request>
absl::StatusOr<Response> Client::CallUnary(Stub& stub,
                                           grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                                        Response*),
                                           const Request& request, const CallOptions& options, CallInfo* info) const {
  const absl::StatusOr<std::unique_ptr<CallContext>> context = StartCall(options);
  if (!context.ok()) return context.status();
  Response response;
  const grpc::Status status = (stub.*method)((*context)->grpc(), request, &response);
  if (absl::Status result = (*context)->Finish(status, info); !result.ok()) return result;
  return response;
}

absl::StatusOr<v1::ListModelsResponse> Client::ListModels(const CallOptions& options, CallInfo* info) const {
  return CallUnary(*models_, &v1::ModelService::Stub::ListModels, v1::ListModelsRequest(), options, info);
}

absl::StatusOr<v1::Model> Client::GetModel(absl::string_view name, const CallOptions& options, CallInfo* info) const {
  v1::GetModelRequest request;
  request.set_model_name(std::string(name));
  absl::StatusOr<v1::GetModelResponse> response =
      CallUnary(*models_, &v1::ModelService::Stub::GetModel, request, options, info);
  if (!response.ok()) return response.status();
  return std::move(*response->mutable_model());
}

absl::StatusOr<v1::PredictResponse> Client::Predict(const v1::PredictRequest& request, const CallOptions& options,
                                                    CallInfo* info) const {
  return CallUnary(*predictions_, &v1::PredictionService::Stub::Predict, request, options, info);
}

absl::StatusOr<std::unique_ptr<PredictionStream>> Client::PredictStream(const v1::PredictStreamRequest& request,
                                                                        const CallOptions& options) const {
  absl::StatusOr<std::unique_ptr<CallContext>> context = StartCall(options);
  if (!context.ok()) return context.status();
  std::unique_ptr<grpc::ClientReader<v1::PredictStreamResponse>> reader =
      predictions_->PredictStream((*context)->grpc(), request);
  return std::make_unique<PredictionStream>(std::move(*context), std::move(reader));
}

}  // namespace predictd
