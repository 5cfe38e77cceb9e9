#ifndef PREDICTD_SERVER_RPC_ENVIRONMENT_H_
#define PREDICTD_SERVER_RPC_ENVIRONMENT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/async/step_queue.h"
#include "server/rpc/connection_table.h"
#include "server/rpc/memory_budget.h"
#include "server/rpc/peer_watch.h"
#include "server/rpc/rpc_metrics.h"
#include "server/telemetry/tracing.h"

namespace predictd {

// Which calls leave a line in the log.
enum class LogRequests { kNone, kErrors, kAll };

// What every call needs beside its own state. Made by the composition root, outlives all calls. Thread-safe.
struct RpcEnvironment {
  // `memory` in bytes.
  explicit RpcEnvironment(int64_t memory) : memory(memory) {}

  // Zero: none, no limit.
  absl::Duration default_deadline;
  absl::Duration max_deadline;
  PeerLimits peer_limits;
  // Calls at a time on one connection.
  int64_t max_concurrent_streams = 1;
  // Health watches and reflection streams at a time.
  int64_t max_endless_calls = 1;
  LogRequests log_requests = LogRequests::kErrors;
  Tracer* tracer = nullptr;
  RpcMetrics* metrics = nullptr;
  // Where large requests wait for a worker to be decoded on.
  std::shared_ptr<StepQueue> decoding;
  // Set by the server before the first call.
  const ConnectionTable* connections = nullptr;

  // Calls that were accepted, and of these the ones that have ended with a status.
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> ended{0};
  std::atomic<int64_t> endless_calls{0};
  // Once it is set, new calls are refused.
  std::atomic<bool> draining{false};
  MemoryBudget memory;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_ENVIRONMENT_H_
