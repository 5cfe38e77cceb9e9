#include "server/control_server.h"

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/port_file.h"
#include "server/telemetry/log.h"

namespace predictd {
namespace {

// Its requests and answers are small and few.
constexpr int64_t kMemory = int64_t{16} << 20;
constexpr int64_t kMaxMessageBytes = int64_t{1} << 20;
constexpr int kConnections = 64;

}  // namespace

ControlServer::ControlServer(const ServerConfig& config, const RpcEnvironment& environment, RpcMetrics& metrics)
    : config_(config), metrics_(unshown_), environment_(kMemory), methods_(metrics) {
  environment_.admit = environment.admit;
  environment_.max_deadline = environment.max_deadline;
  environment_.peer_limits = environment.peer_limits;
  environment_.max_concurrent_streams = environment.max_concurrent_streams;
  environment_.max_endless_calls = environment.max_endless_calls;
  environment_.log_requests = environment.log_requests;
  environment_.server_timing = environment.server_timing;
  environment_.tracer = environment.tracer;
  environment_.metrics = &metrics_;
  environment_.decoding = environment.decoding;
}

absl::Status ControlServer::Start(WorkerPool& pool, const std::function<void()>& on_loop_start) {
  absl::StatusOr<std::unique_ptr<RpcServer>> started =
      RpcServer::Start({.listen = config_.control_listen,
                        .max_connections = kConnections,
                        .connection_idle_timeout = config_.connection_idle_timeout,
                        .max_connection_age = config_.max_connection_age,
                        .max_connection_age_grace = config_.max_connection_age_grace,
                        .loops = 1,
                        .max_message_bytes = kMaxMessageBytes,
                        .max_concurrent_streams = config_.max_concurrent_streams},
                       environment_, std::move(methods_), pool, on_loop_start);
  if (!started.ok()) return started.status();
  server_ = *std::move(started);
  server_->health().Set("", true);
  Log(LogLevel::kInfo, "listening for calls that change what is served",
      {{"address", config_.control_listen}, {"port", server_->port()}});
  return WritePort(config_.control_port_file, server_->port());
}

void ControlServer::Drain() {
  if (server_ != nullptr) server_->Drain(absl::ZeroDuration());
}

void ControlServer::Stop() {
  if (server_ != nullptr) server_->Stop();
}

}  // namespace predictd
