#ifndef PREDICTD_SERVER_RPC_STREAM_WRITER_H_
#define PREDICTD_SERVER_RPC_STREAM_WRITER_H_

#include <grpcpp/grpcpp.h>

#include "server/async/task.h"
#include "server/rpc/call.h"

namespace predictd {

// The sending side of a call that streams: one message at a time, so that a reader who is slow holds up whoever
// produces. One who is too slow is cut off (PeerWatch). Lives in the call's frame.
class StreamWriter {
 public:
  explicit StreamWriter(Call& call) : call_(call) {}

  // Sends one message and waits until the transport took it. False: the call is over, nobody reads. If more follows at
  // once, the transport may keep the message for a moment and send them together.
  Task<bool> Write(const grpc::ByteBuffer& message, bool more_follows = false);

 private:
  Call& call_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_STREAM_WRITER_H_
