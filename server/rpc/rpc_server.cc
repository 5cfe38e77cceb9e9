#include "server/rpc/rpc_server.h"

#include <grpc/grpc.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/config/listen_address.h"
#include "server/rpc/connection_table.h"
#include "server/rpc/connection_watch.h"
#include "server/rpc/event_loop.h"
#include "server/rpc/health_handler.h"
#include "server/rpc/library_log.h"
#include "server/rpc/listener.h"
#include "server/rpc/method_table.h"
#include "server/rpc/reflection_handler.h"
#include "server/rpc/serve.h"

namespace predictd {
namespace {

constexpr char kHealthName[] = "grpc.health.v1.Health";
constexpr char kReflectionName[] = "grpc.reflection.v1.ServerReflection";
constexpr char kReflectionAlphaName[] = "grpc.reflection.v1alpha.ServerReflection";

// How large a request for health or reflection may be: it holds a name.
constexpr int64_t kSmallRequest = 4096;

// For how long a draining server answers calls with UNAVAILABLE before it accepts no more. Callers need that time to
// learn of the drain: a call that gRPC itself turns away, because it was under way when the connection was told to go,
// ends as CANCELLED, which clients do not repeat. The time is over at once when no call has come for a moment.
constexpr absl::Duration kRefusal = absl::Milliseconds(500);
constexpr absl::Duration kQuiet = absl::Milliseconds(100);

// How much longer than the grace period a stopped call may take to finish before gRPC cancels it.
constexpr absl::Duration kForcedEnd = absl::Seconds(2);
// How long a connection without calls gets to say goodbye. gRPC itself would wait 20 s for one whose peer is dead.
constexpr absl::Duration kGoodbye = absl::Seconds(1);

// Zero means no limit, which is what gRPC does without the argument.
void AddTimeLimit(const char* argument, absl::Duration limit, grpc::ServerBuilder& builder) {
  if (limit <= absl::ZeroDuration()) return;
  const int64_t milliseconds = absl::ToInt64Milliseconds(limit);
  builder.AddChannelArgument(argument, static_cast<int>(std::clamp<int64_t>(milliseconds, 1, INT32_MAX)));
}

void Configure(const RpcServer::Options& options, grpc::ServerBuilder& builder) {
  // gRPC inflates a message without checking how large it becomes: a kilobyte may stand for a megabyte.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams);
  builder.SetMaxReceiveMessageSize(static_cast<int>(std::min<int64_t>(options.max_message_bytes, INT32_MAX)));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
  // A client may ping every 10 s, even without calls, because streams that are quiet for long are normal here.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Pings find connections whose peer is gone, so that their calls end.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  // A connection must have begun to speak HTTP/2 within this time.
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 20'000);
  AddTimeLimit(GRPC_ARG_MAX_CONNECTION_IDLE_MS, options.connection_idle_timeout, builder);
  // A connection's end is announced by a GOAWAY that lets in what is under way, so that no call is lost.
  AddTimeLimit(GRPC_ARG_MAX_CONNECTION_AGE_MS, options.max_connection_age, builder);
  AddTimeLimit(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, options.max_connection_age_grace, builder);
  if (options.transport_memory > 0) {
    grpc::ResourceQuota quota("predictd");
    quota.Resize(static_cast<size_t>(options.transport_memory));
    builder.SetResourceQuota(quota);
  }
}

// A connection takes two files. Some files are kept for models, logs and the like.
size_t ConnectionsThatFilesAllow() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
  return (limit.rlim_cur - std::min<rlim_t>(limit.rlim_cur / 4, 128)) / 2;
}

ConnectionLimits LimitsFor(const RpcServer::Options& options) {
  const size_t total = static_cast<size_t>(options.max_connections);
  return {.total = total > 0 ? total : ConnectionsThatFilesAllow(),
          .per_peer = static_cast<size_t>(options.max_connections_per_peer)};
}

}  // namespace

// Shuts a server down, which blocks, on a thread that exists from the start, because there may be no thread to be had
// when the time comes.
class Closer {
 public:
  explicit Closer(grpc::Server& server)
      : closed_(done_.get_future()), thread_([this, &server, when = when_.get_future()]() mutable {
          server.Shutdown(when.get());
          done_.set_value();
        }) {}
  // May only run after Close.
  ~Closer() { thread_.join(); }
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;

  // Begins the shutdown; calls that have not ended by `forced` are cancelled. It is called once.
  void Close(std::chrono::system_clock::time_point forced) { when_.set_value(forced); }
  bool ClosedWithin(std::chrono::milliseconds time) const {
    return closed_.wait_for(time) == std::future_status::ready;
  }

 private:
  std::promise<std::chrono::system_clock::time_point> when_;
  std::promise<void> done_;
  const std::future<void> closed_;
  std::thread thread_;
};

struct RpcServer::Impl {
  RpcEnvironment& environment;
  MethodTable methods;
  grpc::AsyncGenericService service;
  // The services that reflection lists.
  std::vector<std::string> service_names;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Closer> closer;
  std::vector<std::unique_ptr<EventLoop>> loops;
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  ConnectionTable connections;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> connection_acceptor;
  std::unique_ptr<LoopProbe> probe;
  std::unique_ptr<ConnectionWatch> watch;
  std::unique_ptr<Listener> listener;
  int port = 0;
  bool drained = false;

  Impl(const Options& options, RpcEnvironment& environment, MethodTable given);
  void AddHealth();
  void AddReflection();
  void StopCalls(bool endless_only);
  void RefuseCalls() const;
  void Listen(const Options& options, ListeningSockets sockets);
  void EndRequests(const std::shared_ptr<PeerConnection>& connection, StopReason reason);
  void WaitForLoops();
  void WaitUntilAllEnded() const;
};

RpcServer::Impl::Impl(const Options& options, RpcEnvironment& environment, MethodTable given)
    : environment(environment), methods(std::move(given)), connections(LimitsFor(options)) {
  environment.connections = &connections;
  AddHealth();
  AddReflection();
}

void RpcServer::Impl::AddHealth() {
  methods.Add({.service = kHealthName, .name = "Check", .max_request_bytes = kSmallRequest, .while_draining = true},
              UnaryHandler([this](Call& call, grpc::ByteBuffer& request) {
                return HandleHealthCheck(call, request, environment.health);
              }));
  methods.Add({.service = kHealthName, .name = "Watch", .max_request_bytes = kSmallRequest, .endless = true},
              StreamHandler([this](Call& call, grpc::ByteBuffer& request, StreamWriter& writer) {
                return HandleHealthWatch(call, request, writer, environment.health);
              }));
}

void RpcServer::Impl::AddReflection() {
  for (const char* service : {kReflectionName, kReflectionAlphaName}) {
    methods.Add(
        {.service = service, .name = "ServerReflectionInfo", .max_request_bytes = kSmallRequest, .endless = true},
        BidiHandler(
            [this](Call& call, StreamWriter& writer) { return HandleReflection(call, writer, service_names); }));
  }
  service_names = methods.Services();
}

// Stops the calls that live on the loops: all of them, or only the endless ones. The others learn that the server
// drains.
void RpcServer::Impl::StopCalls(bool endless_only) {
  for (auto& loop : loops) {
    loop->Post([&loop = *loop, endless_only] {
      // A stopped call may end here and leave the ring.
      for (CallLink *link = loop.live_calls().next(), *next = nullptr; link != &loop.live_calls(); link = next) {
        next = link->next();
        Call& call = static_cast<Call&>(*link);
        if (!endless_only || call.method().endless()) {
          call.Stop(StopReason::kDraining);
        } else {
          call.Drain();
        }
      }
    });
  }
}

void RpcServer::Impl::Listen(const Options& options, ListeningSockets sockets) {
  ConnectionMetrics& metrics = environment.metrics->connections();
  const int64_t half_sent_limit = std::max(environment.memory.limit(), 2 * options.max_message_bytes);
  const ConnectionPolicy policy{.max_message_bytes = options.max_message_bytes,
                                .overlong_bytes = int64_t{256} << 20,
                                .most_owed = half_sent_limit,
                                .max_open_calls = int64_t{2} * options.max_concurrent_streams};
  probe = std::make_unique<LoopProbe>(loops);
  watch = std::make_unique<ConnectionWatch>(
      ConnectionWatch::Options{
          .policy = policy,
          .half_sent_limit = half_sent_limit,
          .end_requests = [this](const auto& connection, StopReason reason) { EndRequests(connection, reason); }},
      connections, metrics, *probe);
  listener = std::make_unique<Listener>(
      std::move(sockets), connections, *watch, metrics, [this](int listening_socket, int socket) {
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters accepted;
        accepted.listener_fd = listening_socket;
        accepted.fd = socket;
        connection_acceptor->HandleNewConnection(&accepted);
      });
}

// Ends those calls of a connection whose requests are still on their way.
void RpcServer::Impl::EndRequests(const std::shared_ptr<PeerConnection>& connection, StopReason reason) {
  for (auto& loop : loops) {
    loop->Post([&loop = *loop, connection, reason] {
      for (CallLink *link = loop.live_calls().next(), *next = nullptr; link != &loop.live_calls(); link = next) {
        next = link->next();
        static_cast<Call&>(*link).StopReadingFrom(*connection, reason);
      }
    });
  }
}

// Waits until every loop has handled what is ready now.
void RpcServer::Impl::WaitForLoops() {
  std::atomic<size_t> left{loops.size()};
  for (auto& loop : loops) loop->Post([&left] { --left; });
  while (left > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
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
                                                            MethodTable methods, WorkerPool& pool,
                                                            const std::function<void()>& on_loop_start) {
  const absl::StatusOr<ListenAddress> address = ParseListenAddress(options.listen);
  if (!address.ok()) return address.status();
  absl::StatusOr<ListeningSockets> sockets = ListeningSockets::Bind(*address);
  if (!sockets.ok()) return sockets.status();
  auto impl = std::make_unique<Impl>(options, environment, std::move(methods));
  impl->port = sockets->port();
  grpc::ServerBuilder builder;
  Configure(options, builder);
  impl->connection_acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::InsecureServerCredentials());
  builder.RegisterAsyncGenericService(&impl->service);
  for (int i = 0; i < options.loops; ++i) {
    impl->loops.push_back(std::make_unique<EventLoop>(builder.AddCompletionQueue(), pool, *environment.metrics));
  }
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr) return absl::UnavailableError("gRPC cannot start a server");
  impl->closer = std::make_unique<Closer>(*impl->server);
  RouteLibraryLogs();
  for (auto& loop : impl->loops) {
    impl->acceptors.push_back(std::make_unique<Acceptor>(*loop, environment, impl->service, impl->methods));
    Acceptor* acceptor = impl->acceptors.back().get();
    loop->Start(
        [acceptor, on_loop_start] {
          on_loop_start();
          acceptor->Refill();
        },
        [acceptor, &environment] {
          acceptor->Refill();
          environment.metrics->request_memory().Set(static_cast<double>(environment.memory.used()));
        });
  }
  impl->Listen(options, *std::move(sockets));
  return std::unique_ptr<RpcServer>(new RpcServer(std::move(impl)));
}

int RpcServer::port() const {
  return impl_->port;
}

HealthRegistry& RpcServer::health() {
  return impl_->environment.health;
}

// Waits until no call has come for a moment, or for so long that it makes no difference.
void RpcServer::Impl::RefuseCalls() const {
  const absl::Time end = absl::Now() + kRefusal;
  absl::Time quiet_since = absl::Now();
  int64_t accepted = environment.accepted;
  while (absl::Now() < end && absl::Now() - quiet_since < kQuiet) {
    absl::SleepFor(absl::Milliseconds(5));
    if (std::exchange(accepted, environment.accepted.load()) != accepted) quiet_since = absl::Now();
  }
}

void RpcServer::Drain(absl::Duration grace) {
  const absl::Time stop_at = absl::Now() + grace;
  impl_->environment.draining = true;
  impl_->StopCalls(/*endless_only=*/true);
  impl_->RefuseCalls();
  impl_->listener->Stop();
  const auto forced = absl::ToChronoTime(stop_at + kForcedEnd);
  impl_->closer->Close(std::chrono::time_point_cast<std::chrono::system_clock::duration>(forced));
  absl::Time busy_until = absl::Now();
  bool stopped = false;
  while (!impl_->closer->ClosedWithin(std::chrono::milliseconds(10))) {
    const absl::Time now = absl::Now();
    if (!stopped && now >= stop_at) {
      impl_->StopCalls(/*endless_only=*/false);
      stopped = true;
    }
    if (impl_->environment.ended != impl_->environment.accepted) busy_until = now;
    if (now - busy_until > kGoodbye) grpc_server_cancel_all_calls(impl_->server->c_server());
  }
  // A call that was accepted may still lie in a completion queue.
  impl_->WaitForLoops();
  impl_->WaitUntilAllEnded();
  impl_->drained = true;
}

void RpcServer::Stop() {
  impl_->watch->Stop();
  for (auto& loop : impl_->loops) loop->Shutdown();
}

}  // namespace predictd
