#ifndef PREDICTD_SERVER_RPC_STREAM_WRITER_H_
#define PREDICTD_SERVER_RPC_STREAM_WRITER_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/async_stream.h>

#include <atomic>
#include <optional>

#include "server/async/task.h"
#include "server/async/timer_heap.h"
#include "server/rpc/call.h"

namespace predictd {

// The sending side of a server-streaming call: one message at a time, so that a reader who is slow holds up whoever
// produces. A reader who takes nothing for the stall time-out, or who keeps a stopped call waiting, is cut off. Lives
// in the call's frame.
class StreamWriter {
 public:
  explicit StreamWriter(Call& call);

  // Starts watching the reader; on the call's loop.
  void Begin();

  // Sends one message and waits until the transport took it. False: the call is over, nobody reads. If more follows at
  // once, the transport may keep the message for a moment and send them together.
  Task<bool> Write(const grpc::ByteBuffer& message, bool more_follows = false);

  grpc::ServerAsyncWriter<grpc::ByteBuffer>& transport() { return transport_; }

 private:
  void Check();
  void OnStop();

  Call& call_;
  grpc::ServerAsyncWriter<grpc::ByteBuffer> transport_;
  Timer watch_;
  std::optional<StopCallback> on_stop_;
  // When the message that waits for its reader began to wait, in nanoseconds of steady_clock; 0 if none does.
  std::atomic<int64_t> waiting_since_{0};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_STREAM_WRITER_H_
