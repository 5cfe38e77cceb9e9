#ifndef PREDICTD_SERVER_PROCESS_STOP_SIGNALS_H_
#define PREDICTD_SERVER_PROCESS_STOP_SIGNALS_H_

namespace predictd {

// What signals do to the process, decided on a thread that does nothing else, so that they work whatever the others
// wait for. SIGTERM and SIGINT: before BeginServing they end the process at once (exit code 0: nothing was accepted, so
// nothing is lost); then the first lets WaitForStop return and the second ends the process (128 + its number). SIGHUP,
// SIGUSR1 and SIGUSR2 only leave a line in the log. SIGPIPE and SIGXFSZ are ignored: the write that caused them fails
// instead. All others do what they do by default.
class StopSignals {
 public:
  // Once a process, before it has other threads: they inherit what is blocked. Throws std::system_error if there can be
  // no thread.
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Calls may come from here on: a signal means a drain.
  void BeginServing();

  // Returns when the process is to drain.
  void WaitForStop();

 private:
  struct State;
  State& state_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_PROCESS_STOP_SIGNALS_H_
