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
#include "server/async/stop.h"
#include "server/rpc/connection_metrics.h"
#include "server/rpc/connection_policy.h"
#include "server/rpc/connection_table.h"
#include "server/rpc/file_descriptor.h"
#include "server/rpc/loop_probe.h"
#include "server/rpc/watched_connection.h"

namespace predictd {

// Watches all connections on a thread of its own, to notice their ends and what their peers do. gRPC owns the sockets;
// the watch has a duplicate of each.
//
//   - A connection that breaks the policy is held back, and if that is still so 100 ms later it is shut down: gRPC then
//     ends it and its calls. If it has sent too much of a message, only the calls that wait for messages are ended,
//     with RESOURCE_EXHAUSTED.
//   - A connection with more open calls than a client that keeps to its limit can have is shut down, too.
//   - When an event loop does not come back, because gRPC reads on and on from a connection that sends faster than it
//     can be read, that connection is held back for a moment. A connection that was held back many times without a call
//     being answered is shut down.
//   - When a loop has too much to do, connections that cancel their calls by the thousand are shut down; those that do
//   it
//     by the ten thousand are in any case.
//   - When half-sent messages together take too much, the calls of the connection with the most are ended; if that does
//     not help, it is shut down.
class ConnectionWatch {
 public:
  struct Options {
    ConnectionPolicy policy;
    // The limit of all messages together that have not arrived completely, in bytes.
    int64_t half_sent_limit = 0;
    // Ends those calls of a connection that wait for a message. Any thread may call it.
    std::function<void(const std::shared_ptr<PeerConnection>&, StopReason)> end_requests;
  };

  // `table`, `metrics` and `probe` outlive the watch.
  ConnectionWatch(const Options& options, ConnectionTable& table, ConnectionMetrics& metrics, LoopProbe& probe);
  ~ConnectionWatch();
  ConnectionWatch(const ConnectionWatch&) = delete;
  ConnectionWatch& operator=(const ConnectionWatch&) = delete;

  // Watches a connection of the table; `socket` is a duplicate of its socket. Returns false if it cannot be watched.
  // Any thread may call it.
  bool Add(std::shared_ptr<PeerConnection> connection, FileDescriptor socket);

  // Says that from now on gRPC refuses calls by itself. Bytes that were sent for those belong to no call that the
  // server has seen.
  void OnDraining() { draining_ = true; }

  // Ends the thread; no probe is under way afterwards. The connections stay open.
  void Stop();

 private:
  void Run();
  // Waits until `next_tick` at the longest, and handles the events that have come.
  void HandleEvents(TimePoint next_tick);
  void TakeIncoming();
  void Tick(TimePoint now);
  void LookAtSome(TimePoint now);
  void JudgeAll(TimePoint now);
  void Doubt(WatchedConnection& watched, Verdict verdict, TimePoint now);
  void Confirm(WatchedConnection& watched, Verdict verdict);
  void ShedLargest(TimePoint now);
  // Closes the connections with the most recent cancelled calls, if they have more than the limit.
  void CloseResetters(TimePoint now, double limit);
  void HoldBackGreedy(TimePoint now);
  void LetGo(TimePoint now);
  void Close(WatchedConnection& watched, std::string_view reason);
  void Forget(WatchedConnection& watched);

  const Options options_;
  ConnectionTable& table_;
  ConnectionMetrics& metrics_;
  LoopProbe& probe_;
  // Counts connections that ended by themselves.
  Counter& hung_up_;
  FileDescriptor epoll_;
  FileDescriptor wakeup_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> draining_{false};

  Mutex mutex_;
  std::vector<std::unique_ptr<WatchedConnection>> incoming_ ABSL_GUARDED_BY(mutex_);

  // These belong to the thread.
  std::vector<std::unique_ptr<WatchedConnection>> watched_;
  size_t next_ = 0;
  bool probing_ = false;
  // Whether the probe went to all loops: only then does its return say anything.
  bool probe_counts_ = false;
  bool busy_ = false;
  TimePoint probed_at_;
  TimePoint usage_at_;
  int saturated_ = 0;
  int periods_ = 0;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_CONNECTION_WATCH_H_
