#include "server/rpc/shared_stream_writer.h"

namespace predictd {

SharedStreamWriter::SharedStreamWriter(Call& call, StreamWriter& writer, const SendWindow& window)
    : call_(call),
      queue_(window, [&writer](const grpc::ByteBuffer& message,
                               bool more_follows) { return writer.Write(message, more_follows); }),
      stopped_(call.stop(), [this] {
        if (Stopped()) queue_.Abort();
      }) {}

SharedStreamWriter::Writing SharedStreamWriter::Write(grpc::ByteBuffer message) {
  // Others may hear of the stop before this writer does.
  if (Stopped()) queue_.Abort();
  const auto bytes = static_cast<int64_t>(message.Length());
  return queue_.Write(message, bytes);
}

// A stream that ends its own work may still send what that has left.
bool SharedStreamWriter::Stopped() const {
  const StopReason reason = call_.stop().reason();
  return reason != StopReason::kNone && reason != StopReason::kFailed;
}

}  // namespace predictd
