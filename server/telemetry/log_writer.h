#ifndef PREDICTD_SERVER_TELEMETRY_LOG_WRITER_H_
#define PREDICTD_SERVER_TELEMETRY_LOG_WRITER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/async/mutex.h"
#include "server/telemetry/log.h"
#include "server/telemetry/log_drops.h"
#include "server/telemetry/log_queue.h"

namespace predictd {

// The bounded queue of log lines and the thread that writes them to stderr. One thread calls Stop; any thread may call
// Enqueue.
class LogWriter {
 public:
  // Returns lines that nobody queued. It is called about once a second, and at the end with `last`.
  using Periodic = std::function<std::vector<std::string>(bool last)>;

  // `unwritten` is kept at the number of lines that are queued or being written.
  LogWriter(LogFormat format, LogDrops& drops, std::atomic<int64_t>& unwritten, Periodic periodic);
  ~LogWriter();

  // Queues a line. Never blocks on I/O: when the queue is full, the oldest of the least important lines are dropped.
  void Enqueue(LogLevel level, std::string line);

  // Writes what is queued, drops what could not be written within `timeout`, and joins the thread. Enqueue must not be
  // called afterwards.
  void Stop(absl::Duration timeout);

 private:
  void Run();
  bool Write(std::string_view line) const;
  void WritePeriodic(bool last);
  void ReportDropped();

  const LogFormat format_;
  LogDrops& drops_;
  std::atomic<int64_t>& unwritten_;
  const Periodic periodic_;
  std::atomic<int64_t> deadline_ns_;

  Mutex mutex_;
  CondVar changed_;
  LogQueue queue_ ABSL_GUARDED_BY(mutex_);
  bool idle_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // Used by the writing thread only.
  uint64_t reported_;
  std::thread thread_;
};

// Writes a line to stderr from the calling thread; waits while stderr is full.
void WriteToStderr(std::string_view line);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_LOG_WRITER_H_
