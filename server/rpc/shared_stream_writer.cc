#include "server/rpc/shared_stream_writer.h"

#include <utility>

namespace predictd {

SharedStreamWriter::SharedStreamWriter(Call& call, StreamWriter& writer, const SendWindow& window)
    : call_(call),
      queue_(window, [&writer](const OutgoingMessage& message,
                               bool more_follows) { return writer.Write(message.bytes, more_follows); }),
      stopped_(call.stop(), [this] {
        if (Stopped()) queue_.Abort();
      }) {}

absl::StatusOr<OutgoingMessage> SharedStreamWriter::Hold(const grpc::ByteBuffer& message) const {
  OutgoingMessage held = Unheld(message);
  absl::Status status = call_.HoldMessage(static_cast<int64_t>(held.bytes.Length()), held.memory);
  if (!status.ok()) return status;
  return held;
}

SharedStreamWriter::Writing SharedStreamWriter::Write(OutgoingMessage message) {
  // Others may hear of the stop before this writer does.
  if (Stopped()) queue_.Abort();
  const auto bytes = static_cast<int64_t>(message.bytes.Length());
  return queue_.Write(std::move(message), bytes);
}

// A stream that ends its own work may still send what that has left.
bool SharedStreamWriter::Stopped() const {
  const StopReason reason = call_.stop().reason();
  return reason != StopReason::kNone && reason != StopReason::kFailed;
}

}  // namespace predictd
