#ifndef PREDICTD_TESTS_RPC_TRANSPORT_FIXTURE_H_
#define PREDICTD_TESTS_RPC_TRANSPORT_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/async/async_event.h"
#include "server/async/step_queue.h"
#include "server/async/work_status.h"
#include "server/async/worker_pool.h"
#include "server/rpc/call.h"
#include "server/rpc/rpc_server.h"
#include "server/rpc/stream_writer.h"
#include "server/telemetry/metrics.h"
#include "server/telemetry/tracing.h"
#include "tests/rpc/raw_call.h"

namespace predictd {

// What the handlers of a test have seen.
struct Seen {
  std::atomic<int> started{0};
  std::atomic<int> ended{0};
  std::atomic<StopReason> reason{StopReason::kNone};
  // What the last Hold waits for.
  std::atomic<AsyncEvent*> held{nullptr};
};

// Tests the transport alone, in this process: a server with methods of the test's own, real sockets, and a real client.
//
//   /test.Echo/Echo    answers what it is sent
//   /test.Echo/Hold    waits until the call is stopped, or the test releases it
//   /test.Echo/Large   answers as many bytes as the request says
//   /test.Echo/Flood   sends messages of 64 KiB until nobody takes them
//   /test.Echo/Throw   throws std::bad_alloc
class TransportTest : public testing::Test {
 protected:
  TransportTest() : pool_({.workers = 1}), environment_(int64_t{64} << 20) {
    absl::StatusOr<std::unique_ptr<Tracer>> tracer = Tracer::Create({});
    // Without one no test makes sense.
    if (!tracer.ok()) std::abort();
    tracer_ = *std::move(tracer);
    environment_.peer_limits = {.receive = std::chrono::seconds(10), .stall = std::chrono::seconds(10)};
    environment_.max_concurrent_streams = 1000;
    environment_.max_request_streams = 1000;
    environment_.log_requests = LogRequests::kNone;
    environment_.tracer = tracer_.get();
    environment_.metrics = &metrics_;
    environment_.decoding = std::make_shared<StepQueue>(StepQueue::Options{}, pool_);
  }
  ~TransportTest() override {
    server_.reset();
    pool_.Stop();
  }

  // Adds the methods of a test that needs others.
  virtual void AddMethods(MethodTable& /*methods*/) {}

  // To be called once, when the environment is as the test wants it. `on_loop_start` is called on each loop's thread
  // before the loop accepts calls.
  void Start(
      int loops = 1, const std::function<void()>& on_loop_start = [] {}) {
    MethodTable methods(metrics_);
    constexpr int64_t kLargest = int64_t{16} << 20;
    const auto add = [&](const char* name, Method::Handler handler) {
      methods.Add({.service = "test.Echo", .name = name, .max_request_bytes = int64_t{1} << 20}, std::move(handler));
    };
    add("Echo", UnaryHandler([this](Call& call, grpc::ByteBuffer& request) { return Echo(call, request, seen_); }));
    add("Hold", UnaryHandler([this](Call& call, grpc::ByteBuffer& request) { return Hold(call, request, seen_); }));
    add("Large", UnaryHandler([this](Call& call, grpc::ByteBuffer& request) { return Large(call, request, seen_); }));
    add("Throw", UnaryHandler([this](Call& call, grpc::ByteBuffer& request) { return Throw(call, request, seen_); }));
    add("Flood", StreamHandler([this](Call& call, grpc::ByteBuffer& request, StreamWriter& writer) {
          return Flood(call, request, writer, seen_);
        }));
    AddMethods(methods);
    absl::StatusOr<std::unique_ptr<RpcServer>> started = RpcServer::Start(
        {.listen = "127.0.0.1:0", .loops = loops, .max_message_bytes = kLargest, .max_concurrent_streams = 1000},
        environment_, std::move(methods), pool_, on_loop_start);
    if (!started.ok()) std::abort();
    server_ = *std::move(started);
  }

  // Opens a connection of its own.
  std::shared_ptr<grpc::Channel> Connect(grpc::ChannelArguments arguments = {}) const {
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  // Returns whether the condition becomes true within some seconds.
  static bool Eventually(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  // Returns whether every call that was accepted has ended, and none holds anything.
  bool Idle() const {
    return environment_.ended == environment_.accepted && environment_.memory.used() == 0 &&
           seen_.started == seen_.ended && InFlight() == 0;
  }

  // The sum of predictd_requests_in_flight over all methods.
  double InFlight() const {
    const std::string name = "\npredictd_requests_in_flight{";
    const std::string text = registry_.ExpositionText();
    double sum = 0;
    for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
      sum += std::stod(text.substr(text.find("} ", at) + 2));
    }
    return sum;
  }

  // Waits until so many calls were accepted and all of them are over.
  bool AllOver(int64_t calls) const {
    return Eventually([&] { return environment_.accepted == calls && Idle(); });
  }

  // The value of predictd_requests_total for that method and code.
  double Ended(const std::string& method, const std::string& code) const {
    const std::string series =
        absl::StrCat("predictd_requests_total{method=\"", method, "\",model=\"\",code=\"", code, "\"} ");
    const std::string text = registry_.ExpositionText();
    const size_t at = text.find(series);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + series.size()));
  }

  // Records that a handler runs, as long as it lives.
  class Mark {
   public:
    explicit Mark(Seen& seen) : seen_(seen) { ++seen_.started; }
    ~Mark() { ++seen_.ended; }
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;

   private:
    Seen& seen_;
  };

  MetricsRegistry registry_;
  RpcMetrics metrics_{registry_};
  std::unique_ptr<Tracer> tracer_;
  WorkerPool pool_;
  RpcEnvironment environment_;
  Seen seen_;
  std::unique_ptr<RpcServer> server_;

 private:
  using Answer = Task<absl::StatusOr<grpc::ByteBuffer>>;

  static Answer Echo(Call& /*call*/, grpc::ByteBuffer& request, Seen& seen) {
    const Mark mark(seen);
    co_return request;
  }
  static Answer Hold(Call& call, grpc::ByteBuffer& request, Seen& seen) {
    const Mark mark(seen);
    AsyncEvent stopped;
    const StopCallback callback(call.stop(), [&stopped] { stopped.Set(); });
    seen.held = &stopped;
    co_await stopped.Wait();
    seen.reason = call.stop().reason();
    if (call.stop().stopped()) co_return StopStatus(call.stop().reason(), "the test");
    co_return request;
  }
  static Answer Large(Call& /*call*/, grpc::ByteBuffer& request, Seen& seen) {
    const Mark mark(seen);
    co_return ToMessage(std::string(std::stoul(ToString(request)), 'x'));
  }
  static Answer Throw(Call& /*call*/, grpc::ByteBuffer& /*request*/, Seen& seen) {
    const Mark mark(seen);
    throw std::bad_alloc();
    co_return absl::OkStatus();  // The statement makes this a coroutine.
  }
  static Task<absl::Status> Flood(Call& call, grpc::ByteBuffer& /*request*/, StreamWriter& writer, Seen& seen) {
    const Mark mark(seen);
    const grpc::ByteBuffer message = ToMessage(std::string(size_t{64} << 10, 'x'));
    while (co_await writer.Write(message)) {
    }
    seen.reason = call.stop().reason();
    co_return StopStatus(call.stop().reason(), "the test");
  }
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_RPC_TRANSPORT_FIXTURE_H_
