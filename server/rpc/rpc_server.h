#ifndef PREDICTD_SERVER_RPC_RPC_SERVER_H_
#define PREDICTD_SERVER_RPC_RPC_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/async/worker_pool.h"
#include "server/engine/catalog.h"
#include "server/rpc/environment.h"
#include "server/rpc/health_registry.h"

namespace predictd {

// The gRPC server: services, event loops, health, reflection. Owned by the composition root.
class RpcServer {
 public:
  struct Options {
    std::string listen;
    // 0: as many as files allow, and no limit.
    int max_connections = 0;
    int max_connections_per_peer = 0;
    // How long a connection may be without calls. Zero: for ever.
    absl::Duration connection_idle_timeout;
    // What gRPC's buffers may take, in bytes. 0: no limit.
    int64_t transport_memory = 0;
    int loops = 1;
    int64_t max_message_bytes = 0;
    int max_concurrent_streams = 0;
    int stream_window = 1;
  };

  // Binds and starts to serve. UNAVAILABLE if the address cannot be bound. The arguments outlive the server;
  // `on_loop_start` runs first on each event loop.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const Options& options, RpcEnvironment& environment,
                                                          const Catalog& catalog, WorkerPool& pool,
                                                          const std::function<void()>& on_loop_start);
  ~RpcServer();

  int port() const;

  // What grpc.health.v1 says.
  HealthRegistry& health();

  // Accepts no more calls and waits until the running ones have ended, at most for `grace`; then stops the rest and
  // waits for them. Blocks; call it once. Afterwards no handler runs, but the loops still poll.
  void Drain(absl::Duration grace);

  // Ends the loops. After Drain, and after whatever else starts operations on them has stopped.
  void Stop();

 private:
  struct Impl;
  explicit RpcServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_RPC_SERVER_H_
