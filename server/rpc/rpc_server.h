#ifndef PREDICTD_SERVER_RPC_RPC_SERVER_H_
#define PREDICTD_SERVER_RPC_RPC_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/async/worker_pool.h"
#include "server/rpc/environment.h"
#include "server/rpc/health_registry.h"
#include "server/rpc/method_table.h"

namespace predictd {

// The gRPC server: event loops, connections, health and reflection, and the methods that it is given. It is owned by
// the composition root.
class RpcServer {
 public:
  struct Options {
    std::string listen;
    // 0 means as many as the limit of open files allows, and no limit for one peer.
    int max_connections = 0;
    int max_connections_per_peer = 0;
    // How long a connection may be without calls. Zero means for ever.
    absl::Duration connection_idle_timeout = absl::ZeroDuration();
    // After about how long a client is told to leave its connection, and how long the connection's calls may go on
    // then. Zero means for ever.
    absl::Duration max_connection_age = absl::ZeroDuration();
    absl::Duration max_connection_age_grace = absl::ZeroDuration();
    // How many bytes gRPC's buffers may take. 0 means no limit.
    int64_t transport_memory = 0;
    int loops = 1;
    int64_t max_message_bytes = 0;
    int max_concurrent_streams = 0;
  };

  // Binds the address and starts to serve. Returns UNAVAILABLE if the address cannot be bound. `environment`, `pool`
  // and what the methods refer to outlive the server. Each event loop runs `on_loop_start` first.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const Options& options, RpcEnvironment& environment,
                                                          MethodTable methods, WorkerPool& pool,
                                                          const std::function<void()>& on_loop_start);
  ~RpcServer();

  int port() const;

  // What grpc.health.v1 answers from.
  HealthRegistry& health();

  // Accepts no more calls and waits until the running ones have ended, for at most `grace`; then stops the rest and
  // waits for them. It blocks and is called once. Afterwards no handler runs, but the loops still poll.
  void Drain(absl::Duration grace);

  // Ends the loops. It is called after Drain, and after everything else that starts operations on the loops has
  // stopped.
  void Stop();

 private:
  struct Impl;
  explicit RpcServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_RPC_SERVER_H_
