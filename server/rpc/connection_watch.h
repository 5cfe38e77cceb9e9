#ifndef PREDICTD_SERVER_RPC_CONNECTION_WATCH_H_
#define PREDICTD_SERVER_RPC_CONNECTION_WATCH_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/rpc/connection_metrics.h"
#include "server/rpc/connection_policy.h"
#include "server/rpc/connection_table.h"
#include "server/rpc/file_descriptor.h"
#include "server/rpc/loop_probe.h"
#include "server/rpc/watched_connection.h"

namespace predictd {

// Looks after the connections on a thread of its own: notices their ends, and what their other ends do. gRPC owns the
// sockets; the watch has a duplicate of each.
//
//   - A connection that breaks the policy is shut down: gRPC then ends it and its calls.
//   - So is one with more calls at a time than any client that keeps to its limit.
//   - When an event loop does not come back, because gRPC reads on and on from a connection that sends faster than it
//   can
//     be read, that connection is held back for a moment. Done many times without a call being answered, it is shut
//     down.
//   - When a loop has too much to do, connections that cancel their calls by the thousand are shut down.
//   - When the messages that are half sent take too much together, the calls of the connection with the most are ended;
//   if that does not help, it is shut down.
class ConnectionWatch {
 public:
  struct Options {
    ConnectionPolicy policy;
    // Of all messages that have not arrived yet, in bytes.
    int64_t half_sent_limit = 0;
    // Ends the calls of a connection that wait for a message. Any thread.
    std::function<void(const std::shared_ptr<PeerConnection>&)> shed;
  };

  // `table`, `metrics` and `probe` outlive the watch.
  ConnectionWatch(const Options& options, ConnectionTable& table, ConnectionMetrics& metrics, LoopProbe& probe);
  ~ConnectionWatch();
  ConnectionWatch(const ConnectionWatch&) = delete;
  ConnectionWatch& operator=(const ConnectionWatch&) = delete;

  // A connection of the table, and a duplicate of its socket. False if it cannot be watched. Any thread.
  bool Add(std::shared_ptr<PeerConnection> connection, FileDescriptor socket);

  // From now on gRPC refuses calls by itself, and what has been sent of them belongs to no call that anybody has seen.
  void OnDraining() { draining_ = true; }

  // Ends the thread; no probe is out afterwards. Connections stay open.
  void Stop();

 private:
  void Run();
  // Waits, and handles what has come, until `next_tick` at the longest.
  void HandleEvents(TimePoint next_tick);
  void TakeIncoming();
  void Tick(TimePoint now);
  void LookAtSome(TimePoint now);
  void JudgeAll();
  void ShedLargest(TimePoint now);
  void CloseResetters(TimePoint now);
  void HoldBackGreedy(TimePoint now);
  void LetGo(TimePoint now);
  void Close(WatchedConnection& watched, std::string_view reason);
  void Forget(WatchedConnection& watched);

  const Options options_;
  ConnectionTable& table_;
  ConnectionMetrics& metrics_;
  LoopProbe& probe_;
  // Connections that ended by themselves.
  Counter& hung_up_;
  FileDescriptor epoll_;
  FileDescriptor wakeup_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> draining_{false};

  Mutex mutex_;
  std::vector<std::unique_ptr<WatchedConnection>> incoming_ ABSL_GUARDED_BY(mutex_);

  // Of the thread.
  std::vector<std::unique_ptr<WatchedConnection>> watched_;
  size_t next_ = 0;
  bool probing_ = false;
  // The probe went to all loops, so that it says something when it is back.
  bool probe_counts_ = false;
  bool busy_ = false;
  TimePoint probed_at_;
  TimePoint usage_at_;
  int saturated_ = 0;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_CONNECTION_WATCH_H_
