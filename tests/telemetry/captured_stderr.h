#ifndef PREDICTD_TESTS_TELEMETRY_CAPTURED_STDERR_H_
#define PREDICTD_TESTS_TELEMETRY_CAPTURED_STDERR_H_

#include <string>

namespace predictd {

// Replaces the process's stderr by a pipe for its lifetime. Nothing reads the pipe unless asked to.
class CapturedStderr {
 public:
  CapturedStderr();
  ~CapturedStderr();

  // Puts the real stderr back and returns everything that was written until now. Must be called by a test that expects
  // output larger than a pipe holds only once nothing writes any more.
  std::string Finish();

  // Everything that is in the pipe right now.
  std::string ReadAvailable();

 private:
  void Restore();

  int saved_ = -1;
  int read_end_ = -1;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_TELEMETRY_CAPTURED_STDERR_H_
