#ifndef PREDICTD_SERVER_RPC_METHOD_H_
#define PREDICTD_SERVER_RPC_METHOD_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/engine/catalog.h"
#include "server/rpc/rpc_metrics.h"

namespace predictd {

class Call;
class StreamWriter;

// What answers a call. Messages are bytes here: handlers decode. One request and one answer; one request and a stream
// of answers; whatever the two ends like.
using UnaryHandler = std::function<Task<absl::StatusOr<grpc::ByteBuffer>>(Call&, grpc::ByteBuffer& request)>;
using StreamHandler = std::function<Task<absl::Status>(Call&, grpc::ByteBuffer& request, StreamWriter&)>;
using BidiHandler = std::function<Task<absl::Status>(Call&, StreamWriter&)>;

// A method of a service: its names, what its calls may do, what answers them, and its metrics for each model.
// Immutable, thread-safe.
class Method {
 public:
  struct Options {
    std::string service;
    std::string name;
    // Of one message of the caller.
    int64_t max_request_bytes = 0;
    // Calls last until somebody ends them: a server that drains does not wait for them.
    bool endless = false;
    // Calls are answered also by a server that drains.
    bool while_draining = false;
  };
  using Handler = std::variant<UnaryHandler, StreamHandler, BidiHandler>;

  Method(Options options, Handler handler, RpcMetrics& metrics, const Catalog& catalog)
      : options_(std::move(options)), handler_(std::move(handler)), in_flight_(metrics.InFlight(options_.name)) {
    series_[nullptr] = std::make_shared<const RpcMetrics::Series>(metrics, options_.name, "");
    for (const auto& [model_name, model] : catalog.models()) {
      series_[&model] = std::make_shared<const RpcMetrics::Series>(metrics, options_.name, model_name);
    }
  }

  const std::string& service() const { return options_.service; }
  const std::string& name() const { return options_.name; }
  int64_t max_request_bytes() const { return options_.max_request_bytes; }
  bool endless() const { return options_.endless; }
  bool while_draining() const { return options_.while_draining; }
  const Handler& handler() const { return handler_; }
  Gauge& in_flight() const { return in_flight_; }
  // Null: a call that named no known model.
  const RpcMetrics::Series& series(const ServedModel* model) const { return *series_.at(model); }

 private:
  const Options options_;
  const Handler handler_;
  Gauge& in_flight_;
  std::map<const ServedModel*, std::shared_ptr<const RpcMetrics::Series>> series_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_METHOD_H_
