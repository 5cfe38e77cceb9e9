#ifndef PREDICTD_SERVER_TELEMETRY_LOG_WRITER_H_
#define PREDICTD_SERVER_TELEMETRY_LOG_WRITER_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/time/time.h"
#include "server/telemetry/log.h"

namespace predictd {

// The bounded queue of log lines and the thread that writes them to stderr. The caller serialises Enqueue and Stop.
class LogWriter {
 public:
  explicit LogWriter(LogFormat format);
  ~LogWriter();

  // Queues a line. Never blocks on I/O: the oldest line is dropped when the queue is full.
  void Enqueue(std::string_view line);

  // Writes what is queued, drops what could not be written within `timeout`, and joins the thread. No Enqueue after it.
  void Stop(absl::Duration timeout);

  // Lines that were never written.
  uint64_t dropped() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Writes a line to stderr from the calling thread; waits while stderr is full.
void WriteToStderr(std::string_view line);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_LOG_WRITER_H_
