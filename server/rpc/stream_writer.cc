#include "server/rpc/stream_writer.h"

namespace predictd {

Task<bool> StreamWriter::Write(const grpc::ByteBuffer& message, bool more_follows) {
  grpc::WriteOptions options;
  if (more_follows) options.set_buffer_hint();
  auto write = call_.Send(static_cast<int64_t>(message.Length()),
                          [this, &message, options](void* tag) { call_.transport().Write(message, options, tag); });
  co_return co_await write;
}

}  // namespace predictd
