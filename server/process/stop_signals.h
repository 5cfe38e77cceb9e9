#ifndef PREDICTD_SERVER_PROCESS_STOP_SIGNALS_H_
#define PREDICTD_SERVER_PROCESS_STOP_SIGNALS_H_

#include <functional>

namespace predictd {

// Decides what signals do to the process, on a thread that does nothing else, so that they work whatever the other
// threads wait for.
//
// SIGTERM and SIGINT before BeginServing end the process at once (exit code 0: nothing was accepted, so nothing is
// lost). After it, the first one lets WaitForStop return, and the second one ends the process (128 + its number).
// SIGHUP calls the function that OnReload was given; before that, and like SIGUSR1 and SIGUSR2, it only leaves a line
// in the log. SIGPIPE and SIGXFSZ are ignored: the write that caused them fails instead. All other signals have their
// default effect.
class StopSignals {
 public:
  // To be made once in a process, before it has other threads, which inherit the signals that are blocked. Throws
  // std::system_error if there can be no thread.
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Says that calls may come from here on, so that a signal means a drain.
  void BeginServing();

  // Sets what SIGHUP does, on the signals' thread; nullptr: nothing any more. When it returns, what was set before does
  // not run and will not run.
  void OnReload(std::function<void()> reload);

  // Returns when the process is to drain.
  void WaitForStop();

 private:
  struct State;
  State& state_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_PROCESS_STOP_SIGNALS_H_
