#include "server/rpc/reflection_handler.h"

#include "server/rpc/message_bytes.h"
#include "server/rpc/operation.h"
#include "server/rpc/reflection.h"

namespace predictd {

Task<absl::Status> HandleReflection(Call& call, BidiStream& stream, const std::vector<std::string>& services) {
  while (true) {
    grpc::ByteBuffer request;
    Operation read([&](void* tag) { stream.Read(&request, tag); });
    if (!co_await read) {
      co_return call.stop().stopped() ? StopStatus(call.stop().reason(), "the stream") : absl::OkStatus();
    }
    auto message = ParseMessage<grpc::reflection::v1::ServerReflectionRequest>(request);
    if (!message.ok()) co_return message.status();
    absl::StatusOr<grpc::ByteBuffer> response = SerializeMessage(Reflect(**message, services));
    if (!response.ok()) co_return response.status();
    Operation write([&](void* tag) { stream.Write(*response, tag); });
    if (!co_await write) co_return StopStatus(StopReason::kCancelled, "the stream");
  }
}

}  // namespace predictd
