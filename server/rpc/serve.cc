#include "server/rpc/serve.h"

#include "server/rpc/operation.h"

namespace predictd {

Task<> ServeUnary(EventLoop& loop, RpcEnvironment& environment, const UnaryMethod& method) {
  Call call(loop, environment, method.method);
  grpc::ByteBuffer request;
  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> responder(&call.context());

  Operation accept([&](void* tag) { method.accept(&call.context(), &request, &responder, loop.queue(), tag); });
  if (!co_await accept) co_return;
  Detach(ServeUnary(loop, environment, method));
  call.Begin();

  absl::StatusOr<grpc::ByteBuffer> response = co_await method.handle(call, request);
  const grpc::Status status = call.CloseWith(response.status());

  Operation finish([&](void* tag) {
    status.ok() ? responder.Finish(*response, status, tag) : responder.FinishWithError(status, tag);
  });
  co_await finish;
  co_await call.Done();
  call.End();
}

Task<> ServeStream(EventLoop& loop, RpcEnvironment& environment, const StreamMethod& method) {
  Call call(loop, environment, method.method);
  grpc::ByteBuffer request;
  StreamWriter writer(call);

  Operation accept(
      [&](void* tag) { method.accept(&call.context(), &request, &writer.transport(), loop.queue(), tag); });
  if (!co_await accept) co_return;
  Detach(ServeStream(loop, environment, method));
  call.Begin();
  writer.Begin();

  const absl::Status result = co_await method.handle(call, request, writer);
  const grpc::Status status = call.CloseWith(result);

  Operation finish([&](void* tag) { writer.transport().Finish(status, tag); });
  co_await finish;
  co_await call.Done();
  call.End();
}

Task<> ServeBidi(EventLoop& loop, RpcEnvironment& environment, const BidiMethod& method) {
  Call call(loop, environment, method.method);
  BidiStream stream(&call.context());

  Operation accept([&](void* tag) { method.accept(&call.context(), &stream, loop.queue(), tag); });
  if (!co_await accept) co_return;
  Detach(ServeBidi(loop, environment, method));
  call.Begin();
  const StopCallback cancel(call.stop(), [&call] { call.context().TryCancel(); });

  const absl::Status result = co_await method.handle(call, stream);
  const grpc::Status status = call.CloseWith(result);

  Operation finish([&](void* tag) { stream.Finish(status, tag); });
  co_await finish;
  co_await call.Done();
  call.End();
}

}  // namespace predictd
