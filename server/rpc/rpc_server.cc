#include "server/rpc/rpc_server.h"

#include <grpc/grpc.h>
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpc/reflection/v1/reflection.grpc.pb.h>
#include <grpc/reflection/v1alpha/reflection.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <predictd/v1/model_service.grpc.pb.h>
#include <predictd/v1/prediction_service.grpc.pb.h>

#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/rpc/event_loop.h"
#include "server/rpc/health_handler.h"
#include "server/rpc/library_log.h"
#include "server/rpc/model_handler.h"
#include "server/rpc/predict_handler.h"
#include "server/rpc/reflection_handler.h"
#include "server/rpc/serve.h"

namespace predictd {
namespace {

// All methods take and give bytes: handlers decode on their own terms.
using PredictionService = v1::PredictionService::WithRawMethod_Predict<
    v1::PredictionService::WithRawMethod_PredictStream<v1::PredictionService::Service>>;
using ModelService =
    v1::ModelService::WithRawMethod_ListModels<v1::ModelService::WithRawMethod_GetModel<v1::ModelService::Service>>;
using HealthService = grpc::health::v1::Health::WithRawMethod_Check<
    grpc::health::v1::Health::WithRawMethod_Watch<grpc::health::v1::Health::Service>>;

using ReflectionService = grpc::reflection::v1::ServerReflection::WithRawMethod_ServerReflectionInfo<
    grpc::reflection::v1::ServerReflection::Service>;
using ReflectionAlphaService = grpc::reflection::v1alpha::ServerReflection::WithRawMethod_ServerReflectionInfo<
    grpc::reflection::v1alpha::ServerReflection::Service>;

constexpr char kPredictionName[] = "predictd.v1.PredictionService";
constexpr char kModelName[] = "predictd.v1.ModelService";
constexpr char kHealthName[] = "grpc.health.v1.Health";
constexpr char kReflectionName[] = "grpc.reflection.v1.ServerReflection";
constexpr char kReflectionAlphaName[] = "grpc.reflection.v1alpha.ServerReflection";

// How much longer than the grace period a stopped call may take to finish before gRPC cancels it.
constexpr absl::Duration kForcedEnd = absl::Seconds(2);
// What a connection without calls gets to say goodbye. gRPC itself would wait 20 s for one whose other end is dead.
constexpr absl::Duration kGoodbye = absl::Seconds(1);

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
  HealthRegistry health;
  PredictionService prediction;
  ModelService models;
  HealthService health_service;
  ReflectionService reflection;
  ReflectionAlphaService reflection_alpha;
  const std::vector<std::string> service_names = {kPredictionName, kModelName, kHealthName, kReflectionName,
                                                  kReflectionAlphaName};
  std::vector<UnaryMethod> unary_methods;
  std::vector<StreamMethod> stream_methods;
  std::vector<BidiMethod> bidi_methods;
  std::unique_ptr<grpc::Server> server;
  std::vector<std::unique_ptr<EventLoop>> loops;
  int port = 0;
  bool drained = false;

  Impl(RpcEnvironment& environment, const Catalog& catalog, int stream_window);
  void StopCalls(bool endless_only);
  void WaitUntilAllEnded() const;
};

// Every method that there is: its name, how gRPC is asked for the next call, and what handles it.
RpcServer::Impl::Impl(RpcEnvironment& environment, const Catalog& catalog, int stream_window)
    : environment(environment) {
  const auto method = [&](const char* service, const char* name, bool endless = false) {
    return Method(service, name, endless, *environment.metrics, catalog);
  };
  unary_methods.push_back(
      {method(kPredictionName, "Predict"),
       [this](auto* context, auto* request, auto* responder, auto* queue, void* tag) {
         prediction.RequestPredict(context, request, responder, queue, queue, tag);
       },
       [&catalog](Call& call, grpc::ByteBuffer& request) { return HandlePredict(call, request, catalog); }});
  unary_methods.push_back(
      {method(kModelName, "ListModels"),
       [this](auto* context, auto* request, auto* responder, auto* queue, void* tag) {
         models.RequestListModels(context, request, responder, queue, queue, tag);
       },
       [&catalog](Call& call, grpc::ByteBuffer& request) { return HandleListModels(call, request, catalog); }});
  unary_methods.push_back(
      {method(kModelName, "GetModel"),
       [this](auto* context, auto* request, auto* responder, auto* queue, void* tag) {
         models.RequestGetModel(context, request, responder, queue, queue, tag);
       },
       [&catalog](Call& call, grpc::ByteBuffer& request) { return HandleGetModel(call, request, catalog); }});
  unary_methods.push_back(
      {method(kHealthName, "Check"),
       [this](auto* context, auto* request, auto* responder, auto* queue, void* tag) {
         health_service.RequestCheck(context, request, responder, queue, queue, tag);
       },
       [this](Call& call, grpc::ByteBuffer& request) { return HandleHealthCheck(call, request, health); }});
  stream_methods.push_back({method(kPredictionName, "PredictStream"),
                            [this](auto* context, auto* request, auto* writer, auto* queue, void* tag) {
                              prediction.RequestPredictStream(context, request, writer, queue, queue, tag);
                            },
                            [&catalog, stream_window](Call& call, grpc::ByteBuffer& request, StreamWriter& writer) {
                              return HandlePredictStream(call, request, writer, catalog, stream_window);
                            }});
  stream_methods.push_back({method(kHealthName, "Watch", /*endless=*/true),
                            [this](auto* context, auto* request, auto* writer, auto* queue, void* tag) {
                              health_service.RequestWatch(context, request, writer, queue, queue, tag);
                            },
                            [this](Call& call, grpc::ByteBuffer& request, StreamWriter& writer) {
                              return HandleHealthWatch(call, request, writer, health);
                            }});
  const auto reflect = [this](Call& call, BidiStream& stream) { return HandleReflection(call, stream, service_names); };
  bidi_methods.push_back({method(kReflectionName, "ServerReflectionInfo", /*endless=*/true),
                          [this](auto* context, auto* stream, auto* queue, void* tag) {
                            reflection.RequestServerReflectionInfo(context, stream, queue, queue, tag);
                          },
                          reflect});
  bidi_methods.push_back({method(kReflectionAlphaName, "ServerReflectionInfo", /*endless=*/true),
                          [this](auto* context, auto* stream, auto* queue, void* tag) {
                            reflection_alpha.RequestServerReflectionInfo(context, stream, queue, queue, tag);
                          },
                          reflect});
}

// Stops the calls that live on the loops, all or only the endless ones.
void RpcServer::Impl::StopCalls(bool endless_only) {
  for (auto& loop : loops) {
    loop->Post([&loop = *loop, endless_only] {
      // A copy: a stopped call may end here and leave the set.
      const std::vector<Call*> calls(loop.live_calls().begin(), loop.live_calls().end());
      for (Call* call : calls) {
        if (!endless_only || call->method().endless()) call->stop().RequestStop(StopReason::kDraining);
      }
    });
  }
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
                                                            const Catalog& catalog, WorkerPool& pool,
                                                            const std::function<void()>& on_loop_start) {
  auto impl = std::make_unique<Impl>(environment, catalog, options.stream_window);
  grpc::ServerBuilder builder;
  Configure(options, builder);
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &impl->port);
  builder.RegisterService(&impl->prediction);
  builder.RegisterService(&impl->models);
  builder.RegisterService(&impl->health_service);
  builder.RegisterService(&impl->reflection);
  builder.RegisterService(&impl->reflection_alpha);
  for (int i = 0; i < options.loops; ++i) {
    impl->loops.push_back(std::make_unique<EventLoop>(builder.AddCompletionQueue(), pool, *environment.metrics));
  }
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || impl->port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen, ": is the address in use?"));
  }
  Impl* server = impl.get();
  RouteLibraryLogs([server] { server->loops.back()->Post([server] { server->health.SetNotServing(); }); });
  for (auto& loop : impl->loops) {
    loop->Start([server, on_loop_start, &loop = *loop] {
      on_loop_start();
      for (const UnaryMethod& method : server->unary_methods) Detach(ServeUnary(loop, server->environment, method));
      for (const StreamMethod& method : server->stream_methods) Detach(ServeStream(loop, server->environment, method));
      for (const BidiMethod& method : server->bidi_methods) Detach(ServeBidi(loop, server->environment, method));
    });
  }
  return std::unique_ptr<RpcServer>(new RpcServer(std::move(impl)));
}

int RpcServer::port() const {
  return impl_->port;
}

HealthRegistry& RpcServer::health() {
  return impl_->health;
}

void RpcServer::Drain(absl::Duration grace) {
  impl_->StopCalls(/*endless_only=*/true);
  const auto forced = std::chrono::system_clock::now() + absl::ToChronoNanoseconds(grace + kForcedEnd);
  std::future<void> ended = std::async(std::launch::async, [this, forced] {
    impl_->server->Shutdown(std::chrono::time_point_cast<std::chrono::system_clock::duration>(forced));
  });
  const absl::Time stop_at = absl::Now() + grace;
  absl::Time busy_until = absl::Now();
  bool stopped = false;
  while (ended.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready) {
    const absl::Time now = absl::Now();
    if (!stopped && now >= stop_at) {
      impl_->StopCalls(/*endless_only=*/false);
      stopped = true;
    }
    if (impl_->environment.ended != impl_->environment.accepted) busy_until = now;
    if (now - busy_until > kGoodbye) grpc_server_cancel_all_calls(impl_->server->c_server());
  }
  impl_->WaitUntilAllEnded();
  impl_->drained = true;
}

void RpcServer::Stop() {
  RouteLibraryLogs();
  for (auto& loop : impl_->loops) loop->Shutdown();
}

}  // namespace predictd
