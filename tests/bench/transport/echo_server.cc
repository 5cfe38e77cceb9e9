// The opponent of `scripts/bench transport` and `streaming`: the least a gRPC server can do with predictd's own
// messages.
//
// It parses a PredictRequest and answers with a PredictResponse that holds the first input as output `y`, so that both
// messages have the sizes that a Linear(64, 64) model has in predictd. No model, no queue, no deadline, no trailers.

#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "predictd/v1/prediction_service.grpc.pb.h"
#include "tests/bench/transport/echo_stream.h"

namespace predictd::bench {
namespace {

// Accepts of each method that wait on each queue. One is re-posted for each call that arrives, so few suffice; many
// cost time, because Debian's gRPC looks through all tags of a queue that are outstanding at each completion.
constexpr int kPostedAccepts = 8;

// One call, from its posted accept to its answer. It owns itself; only its queue's thread touches it.
class EchoCall final : public EchoTag {
 public:
  static void Post(v1::PredictionService::AsyncService& service, grpc::ServerCompletionQueue& queue) {
    new EchoCall(service, queue);
  }

  // `ok` is false for an accept that the shutdown ended.
  void Proceed(bool ok) override {
    if (!ok || answered_) {
      delete this;
      return;
    }
    Post(service_, queue_);
    answered_ = true;
    if (request_.inputs().empty()) {
      responder_.FinishWithError({grpc::StatusCode::INVALID_ARGUMENT, "inputs: expected a tensor"}, Tag());
      return;
    }
    v1::PredictResponse response;
    response.set_model_name(std::move(*request_.mutable_model_name()));
    response.set_model_version(1);
    response.set_request_id(std::move(*request_.mutable_request_id()));
    v1::Tensor& output = *response.add_outputs();
    output = std::move(*request_.mutable_inputs(0));
    output.set_name("y");
    responder_.Finish(response, grpc::Status::OK, Tag());
  }

 private:
  EchoCall(v1::PredictionService::AsyncService& service, grpc::ServerCompletionQueue& queue)
      : service_(service), queue_(queue), responder_(&context_) {
    service.RequestPredict(&context_, &request_, &responder_, &queue, &queue, Tag());
  }

  void* Tag() { return static_cast<EchoTag*>(this); }

  v1::PredictionService::AsyncService& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::ServerContext context_;
  v1::PredictRequest request_;
  grpc::ServerAsyncResponseWriter<v1::PredictResponse> responder_;
  bool answered_ = false;
};

void Serve(grpc::ServerCompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) static_cast<EchoTag*>(tag)->Proceed(ok);
}

int Run(int queue_count) {
  // Before any thread exists, so that all inherit it and only sigwait below sees these.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  v1::PredictionService::AsyncService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(&service);
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  for (int i = 0; i < queue_count; ++i) queues.push_back(builder.AddCompletionQueue());
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    std::cerr << "bench_echo_server: cannot listen on 127.0.0.1\n";
    return 1;
  }
  for (const auto& queue : queues) {
    for (int i = 0; i < kPostedAccepts; ++i) {
      EchoCall::Post(service, *queue);
      PostStreamEcho(service, *queue);
    }
  }
  std::vector<std::jthread> threads;
  for (const auto& queue : queues) threads.emplace_back([&queue] { Serve(*queue); });
  std::cout << "listening on 127.0.0.1:" << port << std::endl;

  int signal = 0;
  sigwait(&signals, &signal);
  // Returns when every accepted call is answered; a call posts its successor before that, so none posts afterwards.
  server->Shutdown();
  for (const auto& queue : queues) queue->Shutdown();
  return 0;  // The threads drain their queues and are joined first: they were declared last.
}

}  // namespace
}  // namespace predictd::bench

int main(int argc, char** argv) {
  // Debian's Abseil checks every lock for deadlock cycles, inside gRPC too. predictd turns it off, so this must as
  // well.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  int queues = 1;
  CLI::App app("Echoes predictd.v1.PredictionService from hand-written completion-queue code.");
  app.add_option("--queues", queues, "Completion queues, each with one thread")->check(CLI::Range(1, 64));
  CLI11_PARSE(app, argc, argv);
  return predictd::bench::Run(queues);
}
