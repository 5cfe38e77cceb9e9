#ifndef PREDICTD_SERVER_RPC_SHARED_STREAM_WRITER_H_
#define PREDICTD_SERVER_RPC_SHARED_STREAM_WRITER_H_

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/status/statusor.h"
#include "server/async/send_queue.h"
#include "server/async/stop.h"
#include "server/async/task.h"
#include "server/async/task_group.h"
#include "server/rpc/call.h"
#include "server/rpc/peer_connection.h"
#include "server/rpc/stream_writer.h"

namespace predictd {

// A message that is to be sent, and the memory that it holds until then.
struct OutgoingMessage {
  grpc::ByteBuffer bytes;
  MessageMemory memory;
};

// The sending side of a call whose answers come from several coroutines, on any threads. Messages go out in the order
// in which they were written, and a reader that is too slow holds up those who write (SendQueue) before it is cut off.
// When the call is stopped from outside, what has not been sent is dropped. It lives in the call's frame, which awaits
// Close.
class SharedStreamWriter {
 public:
  // Throws std::bad_alloc if there is no memory. `writer` is used by nobody else meanwhile.
  SharedStreamWriter(Call& call, StreamWriter& writer, const SendWindow& window);

  // Takes memory of the budget for an answer. RESOURCE_EXHAUSTED if all callers together would hold too much.
  absl::StatusOr<OutgoingMessage> Hold(const grpc::ByteBuffer& message) const;
  // A message that is sent in any case, because it says what is wrong. It is small.
  OutgoingMessage Unheld(const grpc::ByteBuffer& message) const { return {message, call_.MemoryForMessage()}; }

  // `auto write = writer.Write(message); co_await write` returns false if the call is over and nobody reads. Otherwise
  // the message has its place in the window.
  using Writing = SendQueue<OutgoingMessage>::Writing;
  Writing Write(OutgoingMessage message);

  // `co_await writer.Close()`, once nobody writes any more, waits until everything has been sent, if it can be. It
  // throws std::bad_alloc if there was no memory to send something.
  TaskGroup::Joining Close() { return queue_.Close(); }

 private:
  bool Stopped() const;

  Call& call_;
  SendQueue<OutgoingMessage> queue_;
  StopCallback stopped_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_SHARED_STREAM_WRITER_H_
