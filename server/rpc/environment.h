#ifndef PREDICTD_SERVER_RPC_ENVIRONMENT_H_
#define PREDICTD_SERVER_RPC_ENVIRONMENT_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/async/step_queue.h"
#include "server/rpc/connection_table.h"
#include "server/rpc/health_registry.h"
#include "server/rpc/memory_budget.h"
#include "server/rpc/peer_watch.h"
#include "server/rpc/rpc_metrics.h"
#include "server/telemetry/tracing.h"

namespace predictd {

class Method;

// Which calls get a line in the log.
enum class LogRequests { kNone, kErrors, kAll };

// What a caller's headers say, by name.
using ClientMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;

// What every call needs beside its own state. It is made by the composition root and outlives all calls. Thread-safe.
struct RpcEnvironment {
  // `memory` is in bytes.
  explicit RpcEnvironment(int64_t memory) : memory(memory) {}

  // Zero means no default deadline, and no limit. Streams whose callers may be silent have no default deadline, but
  // each of their messages does.
  absl::Duration default_deadline;
  absl::Duration max_deadline;
  PeerLimits peer_limits;
  // The most calls at a time on one connection.
  int64_t max_concurrent_streams = 1;
  // The most watches and reflection streams at a time.
  int64_t max_endless_calls = 1;
  // The most streams of many requests at a time, whose callers may be silent.
  int64_t max_request_streams = 1;
  LogRequests log_requests = LogRequests::kErrors;
  // Whether answers have the trailer server-timing, which takes a tenth of a small call's time.
  bool server_timing = true;
  // If it is set, it says whether a call is let in. It is asked when the call's headers are there; the request of a
  // call that it refuses is not read. It is called on the loops, several at a time, so it must not block.
  std::function<absl::Status(const Method&, const ClientMetadata&)> admit;
  Tracer* tracer = nullptr;
  RpcMetrics* metrics = nullptr;
  // The queue in which large requests wait for a worker that decodes them.
  std::shared_ptr<StepQueue> decoding;
  // Set by the server before the first call.
  const ConnectionTable* connections = nullptr;

  // The number of calls that were accepted, and of those among them that have ended with a status.
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> ended{0};
  std::atomic<int64_t> endless_calls{0};
  std::atomic<int64_t> request_streams{0};
  // New calls are refused once this is set.
  std::atomic<bool> draining{false};
  MemoryBudget memory;
  HealthRegistry health;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_ENVIRONMENT_H_
