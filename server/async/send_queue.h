#ifndef PREDICTD_SERVER_ASYNC_SEND_QUEUE_H_
#define PREDICTD_SERVER_ASYNC_SEND_QUEUE_H_

#include <coroutine>
#include <cstdint>
#include <functional>
#include <list>
#include <utility>

#include "server/async/async_event.h"
#include "server/async/mutex.h"
#include "server/async/task.h"
#include "server/async/task_group.h"

namespace predictd {

// How much may wait to be sent.
struct SendWindow {
  int64_t bytes = int64_t{1} << 20;
  int messages = 64;
};

// Lets several coroutines send messages through one channel that takes one at a time. Messages go out in the order in
// which they were written. Those that fit into the window wait here, and their writers go on; the writers of others
// wait until there is room, in the same order. A message that is larger than the window is let in when nothing else
// waits.
//
// Any thread may call Write and Abort. The owner awaits Close before the queue is destroyed. A writer that has waited
// goes on on the thread on which the channel took the message before, or on the one that calls Abort.
template <class Message>
class SendQueue {
 public:
  // Sends a message and returns whether the channel has taken it. `more_follows` says that another one waits already.
  using Send = std::function<Task<bool>(const Message& message, bool more_follows)>;

  // Throws std::bad_alloc if there is no memory.
  SendQueue(const SendWindow& window, Send send) : window_(window), send_(std::move(send)) { pump_.Start(Pump(*this)); }
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;

  // `co_await queue.Write(message, bytes)` returns true once the message is in the window, from where it is sent unless
  // the channel ends first; or false if nothing can be sent any more. Write itself throws std::bad_alloc if there is no
  // memory; waiting needs none.
  class Writing;
  Writing Write(Message message, int64_t bytes) { return Writing(*this, std::move(message), bytes); }

  // Makes the queue send nothing more: what waits is dropped, and its writers go on.
  void Abort() noexcept;

  // `co_await queue.Close()`, which is called when no writer is left, returns once everything was sent, or nothing can
  // be sent any more. It throws what the channel has thrown.
  TaskGroup::Joining Close();

 private:
  struct Entry {
    Message message;
    int64_t bytes;
  };
  // A list of one entry changes its owner without needing memory.
  using Entries = std::list<Entry>;

  // Sends what is in the window, until the queue is closed.
  static Task<> Pump(SendQueue& queue);
  Entries Take(bool& more_follows);
  // The channel has taken a message of `bytes` bytes, or failed to.
  void Sent(int64_t bytes);
  bool Fits(int64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Admit(Entries& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Finished();
  static void Resume(Writing* writers, bool accepted);

  const SendWindow window_;
  const Send send_;
  AsyncEvent ready_;
  TaskGroup pump_;

  Mutex mutex_;
  // What is in the window and not with the channel yet.
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  // Of everything in the window.
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int messages_ ABSL_GUARDED_BY(mutex_) = 0;
  // The writers that wait for room, in order.
  Writing* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Writing* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
};

// The awaitable of Write. It lies in the writer's frame and, while the writer waits, in the list of those that do.
template <class Message>
class SendQueue<Message>::Writing {
 public:
  Writing(SendQueue& queue, Message message, int64_t bytes) : queue_(queue) {
    entry_.push_back({std::move(message), bytes});
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> writer) {
    {
      MutexLock lock(queue_.mutex_);
      if (queue_.over_) return false;
      // Nobody overtakes those that wait.
      if (queue_.first_ != nullptr || !queue_.Fits(entry_.front().bytes)) {
        writer_ = writer;
        (queue_.first_ == nullptr ? queue_.first_ : queue_.last_->next_) = this;
        queue_.last_ = this;
        return true;
      }
      queue_.Admit(entry_);
      accepted_ = true;
    }
    queue_.ready_.Set();
    return false;
  }
  bool await_resume() const noexcept { return accepted_; }

 private:
  friend class SendQueue;

  SendQueue& queue_;
  Entries entry_;
  std::coroutine_handle<> writer_;
  Writing* next_ = nullptr;
  bool accepted_ = false;
};

template <class Message>
void SendQueue<Message>::Abort() noexcept {
  Entries dropped;
  Writing* writers = nullptr;
  {
    MutexLock lock(mutex_);
    over_ = true;
    dropped.splice(dropped.end(), entries_);
    writers = std::exchange(first_, nullptr);
    last_ = nullptr;
  }
  Resume(writers, /*accepted=*/false);
}

template <class Message>
TaskGroup::Joining SendQueue<Message>::Close() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
  }
  ready_.Set();
  return pump_.Join();
}

template <class Message>
Task<> SendQueue<Message>::Pump(SendQueue& queue) {
  while (!queue.Finished()) {
    bool more_follows = false;
    const Entries next = queue.Take(more_follows);
    if (next.empty()) {
      co_await queue.ready_.Wait();
      continue;
    }
    bool sent = false;
    try {
      Task<bool> sending = queue.send_(next.front().message, more_follows);
      sent = co_await sending;
    } catch (...) {
      queue.Abort();
      throw;
    }
    if (!sent) queue.Abort();
    queue.Sent(next.front().bytes);
  }
}

template <class Message>
typename SendQueue<Message>::Entries SendQueue<Message>::Take(bool& more_follows) {
  Entries taken;
  MutexLock lock(mutex_);
  if (!entries_.empty()) taken.splice(taken.end(), entries_, entries_.begin());
  more_follows = !entries_.empty();
  return taken;
}

template <class Message>
void SendQueue<Message>::Sent(int64_t bytes) {
  Writing* admitted = nullptr;
  {
    MutexLock lock(mutex_);
    bytes_ -= bytes;
    --messages_;
    Writing** end = &admitted;
    while (first_ != nullptr && Fits(first_->entry_.front().bytes)) {
      Admit(first_->entry_);
      *end = first_;
      end = &first_->next_;
      first_ = first_->next_;
    }
    *end = nullptr;
    if (first_ == nullptr) last_ = nullptr;
  }
  Resume(admitted, /*accepted=*/true);
}

template <class Message>
bool SendQueue<Message>::Fits(int64_t bytes) const {
  return messages_ == 0 || (messages_ < window_.messages && bytes_ + bytes <= window_.bytes);
}

template <class Message>
void SendQueue<Message>::Admit(Entries& entry) {
  bytes_ += entry.front().bytes;
  ++messages_;
  entries_.splice(entries_.end(), entry);
}

template <class Message>
bool SendQueue<Message>::Finished() {
  MutexLock lock(mutex_);
  return closing_ && entries_.empty();
}

// A writer that goes on may end, and with it its place in the list.
template <class Message>
void SendQueue<Message>::Resume(Writing* writers, bool accepted) {
  while (writers != nullptr) {
    Writing& writing = *std::exchange(writers, writers->next_);
    writing.accepted_ = accepted;
    writing.writer_.resume();
  }
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_SEND_QUEUE_H_
