#ifndef PREDICTD_SERVER_RPC_METHOD_H_
#define PREDICTD_SERVER_RPC_METHOD_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/rpc_metrics.h"

namespace predictd {

class Call;
class StreamWriter;

// What answers a call. Messages are bytes here, and handlers decode them. A unary handler gets one request and returns
// one answer; a stream handler gets one request and sends a stream of answers; a bidi handler reads and sends as many
// messages as the two ends like.
using UnaryHandler = std::function<Task<absl::StatusOr<grpc::ByteBuffer>>(Call&, grpc::ByteBuffer& request)>;
using StreamHandler = std::function<Task<absl::Status>(Call&, grpc::ByteBuffer& request, StreamWriter&)>;
using BidiHandler = std::function<Task<absl::Status>(Call&, StreamWriter&)>;

// A method of a service: its names, what its calls may do, the handler that answers them, and its metrics. Thread-safe.
class Method {
 public:
  struct Options {
    std::string service;
    std::string name;
    // The limit of one message of the caller.
    int64_t max_request_bytes = 0;
    // Calls last until somebody ends them, so a server that drains does not wait for them.
    bool endless = false;
    // Calls are answered even while the server drains.
    bool while_draining = false;
    // Callers may be silent for as long as they like, before the first message of a stream and between two.
    bool may_idle = false;
  };
  using Handler = std::variant<UnaryHandler, StreamHandler, BidiHandler>;

  Method(Options options, Handler handler, RpcMetrics& metrics)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        metrics_(metrics.calls().ForMethod(options_.name)),
        message_metrics_(options_.may_idle ? metrics.calls().ForMethod(options_.name + ".message") : metrics_) {}

  const std::string& service() const { return options_.service; }
  const std::string& name() const { return options_.name; }
  int64_t max_request_bytes() const { return options_.max_request_bytes; }
  bool endless() const { return options_.endless; }
  bool while_draining() const { return options_.while_draining; }
  bool may_idle() const { return options_.may_idle; }
  // Whether a call may have many requests.
  bool bidi() const { return std::holds_alternative<BidiHandler>(handler_); }
  const Handler& handler() const { return handler_; }
  const MethodMetrics& metrics() const { return metrics_; }
  // Those of the messages of a stream of many requests: how long the stream lasts says nothing about them.
  const MethodMetrics& message_metrics() const { return message_metrics_; }

 private:
  const Options options_;
  const Handler handler_;
  const MethodMetrics& metrics_;
  const MethodMetrics& message_metrics_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_METHOD_H_
