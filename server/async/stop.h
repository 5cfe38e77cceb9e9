#ifndef PREDICTD_SERVER_ASYNC_STOP_H_
#define PREDICTD_SERVER_ASYNC_STOP_H_

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

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

 protected:
  // Waits until RequestStop has returned on other threads. If it is called inside a callback, RequestStop will not
  // touch the source any more. After this the source may be destroyed.
  void LeaveRequestStop();

 private:
  friend class StopCallback;

  std::atomic<StopReason> reason_{StopReason::kNone};
  Mutex mutex_;
  CondVar callback_ended_;
  StopCallback* callbacks_ ABSL_GUARDED_BY(mutex_) = nullptr;
  StopCallback* running_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread::id running_thread_ ABSL_GUARDED_BY(mutex_);
  // Tells the RequestStop that runs a callback that the callback has ended the source's life.
  bool* left_ ABSL_GUARDED_BY(mutex_) = nullptr;
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

// The source of a part of a call, such as one request of many on a stream. It stops when its parent does, for the same
// reason, or alone, such as when a deadline of its own passes, and leaves the parent as it is. It needs no memory of
// the heap.
//
// It may be destroyed at any time, also by a callback that its own stop or the parent's runs: unlike that of a plain
// source, its destructor takes care of a stop that is under way. Whoever calls its RequestStop still makes sure that it
// lives when the call begins.
class ChildStopSource : public StopSource {
 public:
  // `parent` outlives the child.
  explicit ChildStopSource(StopSource& parent)
      : with_parent_(std::in_place, parent, [this, &parent] { RequestStop(parent.reason()); }) {}
  ~ChildStopSource() {
    with_parent_.reset();
    LeaveRequestStop();
  }

 private:
  std::optional<StopCallback> with_parent_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_STOP_H_
