#include "server/rpc/rpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <predictd/v1/model_service.grpc.pb.h>
#include <predictd/v1/prediction_service.grpc.pb.h>

#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/rpc/model_handler.h"
#include "server/rpc/predict_handler.h"
#include "server/rpc/serve.h"

namespace predictd {
namespace {

using PredictionBase = v1::PredictionService;
using Prediction =
    PredictionBase::WithRawMethod_Predict<PredictionBase::WithRawMethod_PredictStream<PredictionBase::Service>>;
using ModelBase = v1::ModelService;
using Models = ModelBase::WithRawMethod_ListModels<ModelBase::WithRawMethod_GetModel<ModelBase::Service>>;

constexpr char kPredictionName[] = "predictd.v1.PredictionService";
constexpr char kModelName[] = "predictd.v1.ModelService";

// How much longer than the grace period a stopped call may take to finish before gRPC cancels it.
constexpr absl::Duration kForcedEnd = absl::Seconds(2);

void Configure(const RpcServer::Options& options, grpc::ServerBuilder& builder) {
  // Otherwise a second process would silently share the port.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams);
  builder.SetMaxReceiveMessageSize(static_cast<int>(std::min<int64_t>(options.max_message_bytes, INT32_MAX)));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
  // A client may ping every 10 s, also without calls: streams that are quiet for long are normal here.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Finds connections whose other end is gone, so that their calls end.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
}

}  // namespace

struct RpcServer::Impl {
  RpcEnvironment& environment;
  Prediction prediction;
  Models models;
  std::vector<UnaryMethod> unary_methods;
  StreamMethod stream_method;
  std::unique_ptr<grpc::Server> server;
  std::vector<std::unique_ptr<EventLoop>> loops;
  int port = 0;
  bool drained = false;

  Impl(RpcEnvironment& environment, const Catalog& catalog, int stream_window);
  void AcceptOn(EventLoop& loop);
  void WaitUntilAllEnded() const;
};

RpcServer::Impl::Impl(RpcEnvironment& environment, const Catalog& catalog, int stream_window)
    : environment(environment),
      stream_method{
          .method = Method(kPredictionName, "PredictStream", *environment.metrics, catalog),
          .accept = [this](auto* context, auto* request, auto* writer, auto* queue,
                           void* tag) { prediction.RequestPredictStream(context, request, writer, queue, queue, tag); },
          .handle =
              [&catalog, stream_window](Call& call, const grpc::ByteBuffer& request, StreamWriter& writer) {
                return HandlePredictStream(call, request, writer, catalog, stream_window);
              }} {
  unary_methods.reserve(3);
  unary_methods.push_back(
      {.method = Method(kPredictionName, "Predict", *environment.metrics, catalog),
       .accept = [this](auto* context, auto* request, auto* responder, auto* queue,
                        void* tag) { prediction.RequestPredict(context, request, responder, queue, queue, tag); },
       .handle = [&catalog](Call& call,
                            const grpc::ByteBuffer& request) { return HandlePredict(call, request, catalog); }});
  unary_methods.push_back(
      {.method = Method(kModelName, "ListModels", *environment.metrics, catalog),
       .accept = [this](auto* context, auto* request, auto* responder, auto* queue,
                        void* tag) { models.RequestListModels(context, request, responder, queue, queue, tag); },
       .handle = [&catalog](Call& call,
                            const grpc::ByteBuffer& request) { return HandleListModels(call, request, catalog); }});
  unary_methods.push_back(
      {.method = Method(kModelName, "GetModel", *environment.metrics, catalog),
       .accept = [this](auto* context, auto* request, auto* responder, auto* queue,
                        void* tag) { models.RequestGetModel(context, request, responder, queue, queue, tag); },
       .handle = [&catalog](Call& call,
                            const grpc::ByteBuffer& request) { return HandleGetModel(call, request, catalog); }});
}

void RpcServer::Impl::AcceptOn(EventLoop& loop) {
  for (const UnaryMethod& method : unary_methods) Detach(ServeUnary(loop, environment, method));
  Detach(ServeStream(loop, environment, stream_method));
}

void RpcServer::Impl::WaitUntilAllEnded() const {
  while (environment.ended.load() != environment.accepted.load())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

RpcServer::RpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RpcServer::~RpcServer() {
  if (!impl_->drained) Drain(absl::ZeroDuration());
  Stop();
}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const Options& options, RpcEnvironment& environment,
                                                            const Catalog& catalog, WorkerPool& pool) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto impl = std::make_unique<Impl>(environment, catalog, options.stream_window);
  grpc::ServerBuilder builder;
  Configure(options, builder);
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &impl->port);
  builder.RegisterService(&impl->prediction);
  builder.RegisterService(&impl->models);
  for (int i = 0; i < options.loops; ++i) {
    impl->loops.push_back(std::make_unique<EventLoop>(builder.AddCompletionQueue(), pool, *environment.metrics));
  }
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || impl->port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen, ": is the address in use?"));
  }
  Impl* server = impl.get();
  for (auto& loop : impl->loops) loop->Start([server, &loop = *loop] { server->AcceptOn(loop); });
  return std::unique_ptr<RpcServer>(new RpcServer(std::move(impl)));
}

int RpcServer::port() const {
  return impl_->port;
}

void RpcServer::SetHealth(const std::string& service, bool serving) {
  impl_->server->GetHealthCheckService()->SetServingStatus(service, serving);
}

void RpcServer::SetNotServing() {
  impl_->server->GetHealthCheckService()->Shutdown();
}

void RpcServer::Drain(absl::Duration grace) {
  const auto forced = std::chrono::system_clock::now() + absl::ToChronoNanoseconds(grace + kForcedEnd);
  std::future<void> ended = std::async(std::launch::async, [this, forced] {
    impl_->server->Shutdown(std::chrono::time_point_cast<std::chrono::system_clock::duration>(forced));
  });
  if (ended.wait_for(absl::ToChronoNanoseconds(grace)) != std::future_status::ready) {
    for (auto& loop : impl_->loops) {
      loop->Post([&loop = *loop] {
        // A copy: a stopped call may end here and leave the set.
        const std::vector<Call*> calls(loop.live_calls().begin(), loop.live_calls().end());
        for (Call* call : calls) call->stop().RequestStop(StopReason::kDraining);
      });
    }
  }
  ended.get();
  impl_->WaitUntilAllEnded();
  impl_->drained = true;
}

void RpcServer::Stop() {
  for (auto& loop : impl_->loops) loop->Shutdown();
}

}  // namespace predictd
