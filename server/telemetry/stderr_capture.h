#ifndef PREDICTD_SERVER_TELEMETRY_STDERR_CAPTURE_H_
#define PREDICTD_SERVER_TELEMETRY_STDERR_CAPTURE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>

namespace predictd {

// The descriptor that the log is written to: the standard error that the process was started with.
int RealStderr();

// Takes what anybody in the process (a library, a model, the C++ runtime) writes to descriptor 2 and hands it on line
// by line, on a thread of its own. There is one capture at a time.
//
// A writer never has to wait: what the pipe behind descriptor 2 has no room for is lost, and the loss is reported.
//
// A process that dies of a signal (abort, a segmentation fault) is held up for at most half a second, so that its last
// lines are handed on and written. What has not been handed on by then is written as it is.
class StderrCapture {
 public:
  // Called for each line, without its line break, on the capture's thread. Returns whether the line is logged. It must
  // not write to descriptor 2.
  using Sink = std::function<bool(std::string_view line)>;
  // Returns whether everything that was logged has been written. It is called by a signal handler, so it must neither
  // lock nor allocate.
  using Written = bool (*)();

  // Returns null, and has changed nothing, if the system has no pipe, descriptor or thread for it, or if stderr is
  // /dev/null.
  static std::unique_ptr<StderrCapture> Start(Sink sink, Written written);

  // Gives descriptor 2 back, hands on what was written until now, and ends the thread. It is called once.
  void Stop();

  // To be destroyed after Stop, when nobody writes any more to what RealStderr returned before it.
  ~StderrCapture();
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  // Called by the handler of a signal that the process dies of.
  void OnDeath();

 private:
  StderrCapture(Sink sink, Written written) : sink_(std::move(sink)), written_(written) {}
  bool Open();
  void Run();
  // Takes what the pipe has. Returns false once nobody can write to the pipe any more.
  bool Drain();
  // Hands on whole lines and, with `all`, also a last line that has not ended.
  void HandOn(bool all);
  void HandOnLine(std::string_view line);
  bool NothingLeft() const;
  void WriteWhatIsLeft();

  const Sink sink_;
  const Written written_;
  int real_ = -1;
  int read_end_ = -1;
  int write_end_ = -1;
  int wakeup_ = -1;
  int capacity_ = 0;

  // What has been read and not yet handed on, and the latest lines that were not logged. They belong to the thread, but
  // a signal handler looks at them when the thread does not get on.
  std::array<char, 8192> buffer_;
  std::atomic<size_t> filled_{0};
  std::array<char, 4096> untold_;
  std::atomic<size_t> untold_size_{0};

  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_STDERR_CAPTURE_H_
