#ifndef PREDICTD_SERVER_RPC_SERVE_H_
#define PREDICTD_SERVER_RPC_SERVE_H_

#include <grpcpp/generic/async_generic_service.h>

#include "server/async/task.h"
#include "server/rpc/environment.h"
#include "server/rpc/event_loop.h"
#include "server/rpc/method_table.h"

namespace predictd {

// Keeps a number of coroutines waiting for calls on one event loop, and serves the calls that come. It is used on the
// loop's thread and outlives the calls.
class Acceptor {
 public:
  // The arguments outlive the acceptor.
  Acceptor(EventLoop& loop, RpcEnvironment& environment, grpc::AsyncGenericService& service, const MethodTable& methods)
      : loop_(loop), environment_(environment), service_(service), methods_(methods) {}

  // Starts to wait for calls. It is also to be called now and then, to make up for coroutines that there was no memory
  // for.
  void Refill() noexcept;

 private:
  // Waits for one call, serves it from its headers to its last tag, and makes sure that the next one is waited for.
  // Ends without a call when the server shuts down. Everything that all calls have in common happens here.
  Task<> Serve();

  EventLoop& loop_;
  RpcEnvironment& environment_;
  grpc::AsyncGenericService& service_;
  const MethodTable& methods_;
  int waiting_ = 0;
  // Whether there was no memory to wait for the last call.
  bool failed_ = false;
  bool shut_down_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_SERVE_H_
