// Waits for what a command prints.
#ifndef PREDICTD_TESTS_CLIENT_FLUSH_WATCHER_H_
#define PREDICTD_TESTS_CLIENT_FLUSH_WATCHER_H_

#include <sstream>

#include "absl/synchronization/notification.h"

namespace predictd {

// Notifies when its text has been flushed the given number of times. Owned by the thread that prints.
class FlushWatcher : public std::stringbuf {
 public:
  explicit FlushWatcher(int flushes) : flushes_left_(flushes) {}

  absl::Notification& flushed() { return flushed_; }

 private:
  int sync() override {
    if (--flushes_left_ == 0) flushed_.Notify();
    return std::stringbuf::sync();
  }

  int flushes_left_;
  absl::Notification flushed_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_CLIENT_FLUSH_WATCHER_H_
