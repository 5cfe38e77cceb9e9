// The client of a predictd server.
#ifndef PREDICTD_CLIENT_CLIENT_H_
#define PREDICTD_CLIENT_CLIENT_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/call_info.h"
#include "client/call_options.h"
#include "client/client_options.h"
#include "client/prediction_stream.h"
#include "predictd/v1/model_service.grpc.pb.h"
#include "predictd/v1/prediction_service.grpc.pb.h"

namespace predictd {

// Makes calls over one connection, which is opened by the first call and reopened when it breaks. Any thread may use
// it, and many at once; calls block the calling thread until they end. A call is tried once: RPC codes come back as
// they are, with the server's advice on trying again in CallInfo::error.
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
  // Does not connect. An empty address, a limit below 1 or metadata that gRPC does not allow: INVALID_ARGUMENT.
  static absl::StatusOr<std::unique_ptr<Client>> Create(const ClientOptions& options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Each of these fills `info`, unless null, when the call ends. What cannot be sent at all (metadata that gRPC does
  // not allow): INVALID_ARGUMENT, without a call and with `info` left alone. A broken connection: UNAVAILABLE.
  absl::StatusOr<v1::ListModelsResponse> ListModels(const CallOptions& options = {}, CallInfo* info = nullptr) const;
  absl::StatusOr<v1::Model> GetModel(absl::string_view name, const CallOptions& options = {},
                                     CallInfo* info = nullptr) const;
  absl::StatusOr<v1::PredictResponse> Predict(const v1::PredictRequest& request, const CallOptions& options = {},
                                              CallInfo* info = nullptr) const;

  // Starts a stream; errors of the call itself come from the stream's Finish. The stream may outlive the client.
  absl::StatusOr<std::unique_ptr<PredictionStream>> PredictStream(const v1::PredictStreamRequest& request,
                                                                  const CallOptions& options = {}) const;

 private:
  Client(ClientOptions options, const std::shared_ptr<grpc::Channel>& channel);

  absl::StatusOr<std::unique_ptr<CallContext>> StartCall(const CallOptions& options) const;

  // The one place that every unary call goes through.
  template <typename Response, typename Stub, typename Request>
  absl::StatusOr<Response> CallUnary(Stub& stub,
                                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                     const Request& request, const CallOptions& options, CallInfo* info) const;

  const ClientOptions options_;
  const std::unique_ptr<v1::PredictionService::Stub> predictions_;
  const std::unique_ptr<v1::ModelService::Stub> models_;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_CLIENT_H_
