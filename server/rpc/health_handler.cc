#include "server/rpc/health_handler.h"

#include <grpc/health/v1/health.pb.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/async/work_status.h"
#include "server/rpc/message_bytes.h"

namespace predictd {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus ToProto(std::optional<bool> serving) {
  if (!serving.has_value()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return *serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

absl::StatusOr<grpc::ByteBuffer> Encode(HealthCheckResponse::ServingStatus status) {
  HealthCheckResponse response;
  response.set_status(status);
  return SerializeMessage(response);
}

}  // namespace

Task<absl::StatusOr<grpc::ByteBuffer>> HandleHealthCheck(Call& /*call*/, grpc::ByteBuffer& request,
                                                         HealthRegistry& health) {
  auto message = ParseMessage<HealthCheckRequest>(request);
  if (!message.ok()) co_return message.status();
  const std::string& service = (*message)->service();
  const std::optional<bool> serving = health.Serving(service);
  if (!serving.has_value()) {
    co_return absl::NotFoundError(
        absl::StrCat("there is no service '", service, "'; \"\" is the server, others are models"));
  }
  co_return Encode(ToProto(serving));
}

Task<absl::Status> HandleHealthWatch(Call& call, grpc::ByteBuffer& request, StreamWriter& writer,
                                     HealthRegistry& health) {
  auto message = ParseMessage<HealthCheckRequest>(request);
  if (!message.ok()) co_return message.status();
  std::optional<HealthCheckResponse::ServingStatus> sent;
  while (true) {
    // The stop is read first and acted on last, so that a client that watches a draining server is told of it before
    // the stream ends.
    const bool stopped = call.stop().stopped();
    const uint64_t seen = health.changes().count();
    const HealthCheckResponse::ServingStatus status = ToProto(health.Serving((*message)->service()));
    if (sent != status) {
      absl::StatusOr<grpc::ByteBuffer> bytes = Encode(status);
      if (!bytes.ok()) co_return bytes.status();
      if (!co_await writer.Write(*bytes)) co_return StopStatus(StopReason::kCancelled, "the stream");
      sent = status;
    }
    if (stopped) co_return StopStatus(call.stop().reason(), "the stream");
    ChangeSignal::Change change(health.changes(), seen, call.stop());
    co_await change;
  }
}

}  // namespace predictd
