// A connection that can fall silent.
#ifndef PREDICTD_TESTS_CLIENT_RELAY_H_
#define PREDICTD_TESTS_CLIENT_RELAY_H_

#include <atomic>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace predictd {

// Passes bytes between one client and a server on loopback, on a thread of its own.
class Relay {
 public:
  // `server` is "127.0.0.1:PORT".
  explicit Relay(const std::string& server);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Where the client connects.
  const std::string& address() const { return address_; }

  // Waits until the client has sent so many HTTP/2 pings; false if that takes too long.
  bool WaitForPings(int count, absl::Duration timeout);

  // From now on nothing is passed on, and the connections stay open: as if the server were stopped.
  void Freeze() { frozen_ = true; }

 private:
  void Run(int listener, int server);
  // Passes on what has come; false at the end.
  bool Pass(int from, int to, bool from_client);
  void CountPings(const std::string& bytes);

  std::string address_;
  std::atomic<bool> frozen_ = false;
  std::atomic<bool> stopping_ = false;
  absl::Mutex mutex_;
  int pings_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string unread_;  // Of the client's frames, on the thread.
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_CLIENT_RELAY_H_
