#ifndef PREDICTD_SERVER_RPC_ENVIRONMENT_H_
#define PREDICTD_SERVER_RPC_ENVIRONMENT_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "server/rpc/rpc_metrics.h"
#include "server/telemetry/tracing.h"

namespace predictd {

// Which calls leave a line in the log.
enum class LogRequests { kNone, kErrors, kAll };

// What every call needs beside its own state. Made by the composition root, outlives all calls. Thread-safe.
struct RpcEnvironment {
  // Zero: none, no limit.
  absl::Duration default_deadline;
  absl::Duration max_deadline;
  absl::Duration stall_timeout;
  LogRequests log_requests = LogRequests::kErrors;
  Tracer* tracer = nullptr;
  RpcMetrics* metrics = nullptr;

  // Calls that were accepted, and of these the ones that have ended with a status.
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> ended{0};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_ENVIRONMENT_H_
