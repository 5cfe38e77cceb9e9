#ifndef PREDICTD_SERVER_RPC_SERVED_REQUEST_H_
#define PREDICTD_SERVER_RPC_SERVED_REQUEST_H_

#include <coroutine>
#include <cstdint>
#include <exception>
#include <string>

#include "absl/status/status.h"
#include "server/async/clock.h"
#include "server/async/stop.h"
#include "server/rpc/call_report.h"
#include "server/rpc/environment.h"
#include "server/rpc/event_loop.h"

namespace predictd {

// One request as those see it who serve it: a call of its own (Call), or one message of a stream of many
// (StreamedRequest). One thread uses it at a time.
class ServedRequest {
 public:
  virtual const RpcEnvironment& environment() const = 0;
  virtual EventLoop& loop() = 0;
  virtual CallReport& report() = 0;
  // What the caller's headers say. Making the map costs as much as other parts of a call.
  virtual const ClientMetadata& metadata() = 0;
  // Stops when nobody wants the answer any more.
  virtual StopSource& stop() = 0;
  virtual TimePoint deadline() const = 0;
  // Makes the deadline earlier, on the loop, if it is later than that. May throw std::bad_alloc.
  virtual void SetDeadline(TimePoint deadline) = 0;
  // `co_await request.EndBy(when)` does the same on any thread, and continues on the loop if there is anything to do.
  class Hurry;
  Hurry EndBy(TimePoint when);
  // Makes the request hold `bytes` more until it ends. Returns RESOURCE_EXHAUSTED if all callers together would hold
  // too much.
  virtual absl::Status Hold(int64_t bytes) = 0;
  // Adds a trailer to the answer, if the answer has any: messages of a stream have none.
  virtual void AddTrailer(const std::string& name, const std::string& value) = 0;

 protected:
  ServedRequest() = default;
  ~ServedRequest() = default;
};

// The awaitable of EndBy. The timers belong to the loop, and the coroutine may be on a worker.
class ServedRequest::Hurry {
 public:
  Hurry(ServedRequest& request, TimePoint when) : request_(request), when_(when) {}

  bool await_ready() const noexcept { return request_.deadline() <= when_; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    if (request_.loop().OnThread()) {
      request_.SetDeadline(when_);
      return false;
    }
    request_.loop().Post([this, waiter] {
      try {
        request_.SetDeadline(when_);
      } catch (...) {
        exception_ = std::current_exception();
      }
      waiter.resume();
    });
    return true;
  }
  void await_resume() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  ServedRequest& request_;
  const TimePoint when_;
  std::exception_ptr exception_;
};

inline ServedRequest::Hurry ServedRequest::EndBy(TimePoint when) {
  return {*this, when};
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_SERVED_REQUEST_H_
