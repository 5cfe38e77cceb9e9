#ifndef PREDICTD_SERVER_ASYNC_STOP_H_
#define PREDICTD_SERVER_ASYNC_STOP_H_

#include <atomic>
#include <functional>
#include <thread>

#include "server/async/mutex.h"

namespace predictd {

// Why work should stop. If there are several reasons, the first one counts.
enum class StopReason : int {
  kNone = 0,
  kCancelled,  // the caller cancelled or went away
  kDeadline,   // the call's deadline passed
  kDraining,   // the server's grace period is over
  kStalled,    // the reader of a stream stopped reading
  kUnsent,     // the caller did not send its request to the end
  kTooLarge,   // more has arrived of the connection's requests than they may have
  kNoRoom,     // requests that are on their way take too much memory together
  kFailed,     // another part of the same call failed
};

class StopCallback;

// The place where cancellation, disconnect, deadline and drain of a call come together. It is like std::stop_source,
// but it is embedded in the call instead of allocated, and it has a reason.
//
// Everything here is thread-safe, but the source must outlive RequestStop: the thread that ends the source's life
// either calls RequestStop itself, or waits for the thread that does.
class StopSource {
 public:
  StopSource() = default;
  StopSource(const StopSource&) = delete;
  StopSource& operator=(const StopSource&) = delete;

  // Records the reason and runs the registered callbacks on this thread. Returns false if the source was stopped
  // already.
  bool RequestStop(StopReason reason);

  // kNone until a stop is requested.
  StopReason reason() const { return reason_.load(std::memory_order_acquire); }
  bool stopped() const { return reason() != StopReason::kNone; }

 private:
  friend class StopCallback;

  std::atomic<StopReason> reason_{StopReason::kNone};
  Mutex mutex_;
  CondVar callback_ended_;
  StopCallback* callbacks_ ABSL_GUARDED_BY(mutex_) = nullptr;
  StopCallback* running_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread::id running_thread_ ABSL_GUARDED_BY(mutex_);
};

// Calls a function once when the source stops; if it has stopped already, at once and on this thread. After the
// destructor has returned, the function does not run and will not run. The callback may be destroyed inside its own
// function.
class StopCallback {
 public:
  StopCallback(StopSource& source, std::function<void()> function);
  ~StopCallback();
  StopCallback(const StopCallback&) = delete;
  StopCallback& operator=(const StopCallback&) = delete;

 private:
  friend class StopSource;

  StopSource& source_;
  std::function<void()> function_;
  StopCallback* previous_ = nullptr;
  StopCallback* next_ = nullptr;
  bool listed_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_STOP_H_
