#ifndef PREDICTD_SERVER_RPC_STREAM_WRITER_H_
#define PREDICTD_SERVER_RPC_STREAM_WRITER_H_

#include <grpcpp/grpcpp.h>

#include "server/async/task.h"
#include "server/rpc/call.h"

namespace predictd {

// The sending side of a call that streams. It sends one message at a time, so that a slow reader holds up the producer.
// A reader that is too slow is cut off (PeerWatch). It lives in the call's frame.
class StreamWriter {
 public:
  explicit StreamWriter(Call& call) : call_(call) {}

  // Sends one message and waits until the transport has taken it. Returns false if the call is over and nobody reads.
  // If more follows at once, the transport may keep the message for a moment and send both together.
  Task<bool> Write(const grpc::ByteBuffer& message, bool more_follows = false);

 private:
  Call& call_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_STREAM_WRITER_H_
