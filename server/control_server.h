#ifndef PREDICTD_SERVER_CONTROL_SERVER_H_
#define PREDICTD_SERVER_CONTROL_SERVER_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "server/async/worker_pool.h"
#include "server/config/server_config.h"
#include "server/rpc/environment.h"
#include "server/rpc/method_table.h"
#include "server/rpc/rpc_metrics.h"
#include "server/rpc/rpc_server.h"
#include "server/telemetry/metrics.h"

namespace predictd {

// A second gRPC server with an address of its own, for calls that change what is served: whoever can only reach the
// first one cannot make them, and whatever happens to the first one does not hold them up.
class ControlServer {
 public:
  // Takes over what holds for every call from `environment`. The references outlive the server.
  ControlServer(const ServerConfig& config, const RpcEnvironment& environment, RpcMetrics& metrics);

  // To be filled before Start.
  MethodTable& methods() { return methods_; }

  // Like RpcServer::Start; also writes the port's file.
  absl::Status Start(WorkerPool& pool, const std::function<void()>& on_loop_start);
  // Like those of RpcServer; calls get no time to end. They do nothing if the server has not started.
  void Drain();
  void Stop();

 private:
  const ServerConfig& config_;
  // Its calls are counted with the others. Its connections and its loop are not, as they say nothing about those that
  // carry requests.
  MetricsRegistry unshown_;
  RpcMetrics metrics_;
  RpcEnvironment environment_;
  MethodTable methods_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONTROL_SERVER_H_
