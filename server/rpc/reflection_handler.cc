#include "server/rpc/reflection_handler.h"

#include "server/async/work_status.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/reflection.h"

namespace predictd {

Task<absl::Status> HandleReflection(Call& call, StreamWriter& writer, const std::vector<std::string>& services) {
  while (true) {
    Call::Reading reading = call.Read();
    if (!co_await reading) {
      co_return call.stop().stopped() ? StopStatus(call.stop().reason(), "the stream") : absl::OkStatus();
    }
    if (absl::Status status = call.CheckMessageSize(); !status.ok()) co_return status;
    auto message = ParseMessage<grpc::reflection::v1::ServerReflectionRequest>(call.message());
    if (!message.ok()) co_return message.status();
    absl::StatusOr<grpc::ByteBuffer> response = SerializeMessage(Reflect(**message, services));
    if (!response.ok()) co_return response.status();
    if (!co_await writer.Write(*response)) co_return StopStatus(StopReason::kCancelled, "the stream");
  }
}

}  // namespace predictd
