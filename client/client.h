// The client of a predictd server.
#ifndef PREDICTD_CLIENT_CLIENT_H_
#define PREDICTD_CLIENT_CLIENT_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/call_info.h"
#include "client/call_options.h"
#include "client/client_options.h"
#include "client/response_stream.h"
#include "predictd/v1/model_service.grpc.pb.h"
#include "predictd/v1/prediction_service.grpc.pb.h"

namespace predictd {
inline namespace client {

// Makes calls over one connection, which is opened by the first call and reopened when it breaks. Any thread may use
// it, and many at once; calls block the calling thread until they end. A call is tried only once: RPC codes are
// returned as they are, with the server's advice on retrying in CallInfo::error.
//
//   absl::StatusOr<std::unique_ptr<Client>> client = Client::Create({.address = "127.0.0.1:8500"});
//   v1::PredictRequest request;
//   request.set_model_name("digits");
//   *request.add_inputs() = *MakeTensor<float>("image", {1, 1, 8, 8}, pixels);
//   CallInfo info;
//   absl::StatusOr<v1::PredictResponse> answer =
//       (*client)->Predict(request, {.deadline = absl::Milliseconds(50)}, &info);
class Client {
 public:
  // Does not connect. INVALID_ARGUMENT for an empty address, a limit below 1, or metadata that gRPC does not allow.
  static absl::StatusOr<std::unique_ptr<Client>> Create(const ClientOptions& options);

  // The same over a channel that exists, such as one with interceptors, or one to a server in the same process. Of the
  // options only default_deadline and metadata apply: the others are about the channel.
  static absl::StatusOr<std::unique_ptr<Client>> OverChannel(const std::shared_ptr<grpc::ChannelInterface>& channel,
                                                             const ClientOptions& options = {});

  // The same with stubs that exist, for tests of what uses a Client: the mocks that gRPC generates are in
  // predictd/v1/prediction_service_mock.grpc.pb.h and model_service_mock.grpc.pb.h. Both are required.
  static absl::StatusOr<std::unique_ptr<Client>> WithStubs(
      std::unique_ptr<v1::PredictionService::StubInterface> predictions,
      std::unique_ptr<v1::ModelService::StubInterface> models, const ClientOptions& options = {});

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Each of these fills `info`, unless it is null, when the call ends. If the request cannot be sent at all, no
  // call is made, and `info` is not changed: INVALID_ARGUMENT for metadata that gRPC does not allow, RESOURCE_EXHAUSTED
  // for a request above ClientOptions::max_send_bytes. UNAVAILABLE if the connection breaks.
  //
  // ListModels returns all models, in as many calls as the server has pages, each with these options; `info` is about
  // the last one. GetModel describes that version, or the newest one that is ready.
  absl::StatusOr<v1::ListModelsResponse> ListModels(const CallOptions& options = {}, CallInfo* info = nullptr) const;
  absl::StatusOr<v1::Model> GetModel(absl::string_view name, const CallOptions& options = {}, CallInfo* info = nullptr,
                                     std::int64_t version = 0) const;
  absl::StatusOr<v1::PredictResponse> Predict(const v1::PredictRequest& request, const CallOptions& options = {},
                                              CallInfo* info = nullptr) const;

  // These change what is served, as ModelService says. They return once the change is made, and it is made even if the
  // call ends before that; a load may take minutes. PERMISSION_DENIED unless the server lets them in.
  absl::StatusOr<v1::Model> LoadModel(absl::string_view name, const CallOptions& options = {},
                                      CallInfo* info = nullptr) const;
  absl::StatusOr<v1::Model> UnloadModel(absl::string_view name, const CallOptions& options = {},
                                        CallInfo* info = nullptr) const;
  absl::StatusOr<v1::Model> ReloadModel(absl::string_view name, const CallOptions& options = {},
                                        CallInfo* info = nullptr) const;
  absl::StatusOr<v1::SetTrafficSplitResponse> SetTrafficSplit(const v1::SetTrafficSplitRequest& request,
                                                              const CallOptions& options = {},
                                                              CallInfo* info = nullptr) const;

  // These start a stream, with the same errors for a request that cannot be sent; errors of the call itself come from
  // the stream's Finish. The stream may outlive the client. An empty name watches all models, until the server shuts
  // down or the deadline, which is the client's by default, passes.
  absl::StatusOr<std::unique_ptr<PredictionStream>> PredictStream(const v1::PredictStreamRequest& request,
                                                                  const CallOptions& options = {}) const;
  absl::StatusOr<std::unique_ptr<ModelWatch>> WatchModels(absl::string_view name = "",
                                                          const CallOptions& options = {}) const;

 private:
  Client(ClientOptions options, std::unique_ptr<v1::PredictionService::StubInterface> predictions,
         std::unique_ptr<v1::ModelService::StubInterface> models);

  absl::StatusOr<std::unique_ptr<CallContext>> StartCall(const google::protobuf::Message& request,
                                                         const CallOptions& options) const;

  // The one place through which every unary call goes.
  template <typename Response, typename Stub, typename Request>
  absl::StatusOr<Response> CallUnary(Stub& stub,
                                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                     const Request& request, const CallOptions& options, CallInfo* info) const;

  // The same for those calls whose request is a model's name and whose response is the model.
  template <typename Request, typename Response>
  absl::StatusOr<v1::Model> CallByName(grpc::Status (v1::ModelService::StubInterface::*method)(grpc::ClientContext*,
                                                                                               const Request&,
                                                                                               Response*),
                                       absl::string_view name, const CallOptions& options, CallInfo* info) const;

  const ClientOptions options_;
  const std::unique_ptr<v1::PredictionService::StubInterface> predictions_;
  const std::unique_ptr<v1::ModelService::StubInterface> models_;
};

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_CLIENT_H_
