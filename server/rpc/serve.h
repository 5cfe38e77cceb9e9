#ifndef PREDICTD_SERVER_RPC_SERVE_H_
#define PREDICTD_SERVER_RPC_SERVE_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include <functional>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/rpc/stream_writer.h"

namespace predictd {

// A unary method: how to ask gRPC for the next call, and what to answer. Messages are bytes here: handlers decode.
struct UnaryMethod {
  Method method;
  std::function<void(grpc::ServerContext*, grpc::ByteBuffer* request,
                     grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>*, grpc::ServerCompletionQueue*, void* tag)>
      accept;
  std::function<Task<absl::StatusOr<grpc::ByteBuffer>>(Call&, grpc::ByteBuffer& request)> handle;
};

// A server-streaming method.
struct StreamMethod {
  Method method;
  std::function<void(grpc::ServerContext*, grpc::ByteBuffer* request, grpc::ServerAsyncWriter<grpc::ByteBuffer>*,
                     grpc::ServerCompletionQueue*, void* tag)>
      accept;
  std::function<Task<absl::Status>(Call&, grpc::ByteBuffer& request, StreamWriter&)> handle;
};

// A method that streams both ways. The handler reads and writes on its own.
using BidiStream = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
struct BidiMethod {
  Method method;
  std::function<void(grpc::ServerContext*, BidiStream*, grpc::ServerCompletionQueue*, void* tag)> accept;
  std::function<Task<absl::Status>(Call&, BidiStream&)> handle;
};

// Waits for one call of the method on this loop, serves it from accept to its last tag, and sees to it that the next
// one is waited for. Ends without a call when the server shuts down. Everything that all calls have in common happens
// here.
Task<> ServeUnary(EventLoop& loop, RpcEnvironment& environment, const UnaryMethod& method);
Task<> ServeStream(EventLoop& loop, RpcEnvironment& environment, const StreamMethod& method);
// A call that is stopped is cancelled: its handler sees that its reads and writes fail.
Task<> ServeBidi(EventLoop& loop, RpcEnvironment& environment, const BidiMethod& method);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_SERVE_H_
