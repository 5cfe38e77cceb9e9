#ifndef PREDICTD_TESTS_BENCH_ENGINE_LOAD_RUN_H_
#define PREDICTD_TESTS_BENCH_ENGINE_LOAD_RUN_H_

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "predictd/v1/prediction_service.grpc.pb.h"
#include "tests/bench/engine/known_calls.h"

namespace predictd::bench {

using Clock = std::chrono::steady_clock;

// What load to offer, to whom and for how long.
struct LoadOptions {
  std::string address;
  int connections = 1;
  // Open loop: Poisson arrivals, calls per second. 0: closed loop.
  double rate = 0;
  // Closed loop: calls in flight, each followed by the next one at once.
  int in_flight = 1;
  // What the server is told to keep, counted from the intended start. Zero: nothing.
  Clock::duration deadline{};
  // The first part of the load, which counts nowhere.
  Clock::duration warm_up{};
  Clock::duration duration{};
  // How long after the load and the last deadline to wait for calls that have not ended.
  Clock::duration patience = std::chrono::seconds(10);
  uint64_t seed = 1;
  // Whose CPU time to read. 0: nobody's.
  pid_t server_pid = 0;
};

// How it went. Everything but `ok_in_window` and the CPU times is about the calls whose intended start lies within
// `duration`, whenever they ended. Times are in microseconds and, beside `send_late_us`, counted from the intended
// start.
struct LoadOutcome {
  int64_t sent = 0;
  std::map<std::string, int64_t> codes;
  // Right answers before the deadline; without a deadline all right answers.
  int64_t in_time = 0;
  // Answers of any code that came 5 ms or more after the deadline.
  int64_t late = 0;
  int64_t wrong = 0;
  // No end within `patience`.
  int64_t unfinished = 0;
  // Right answers that arrived within `duration`, whenever their calls began.
  int64_t ok_in_window = 0;
  std::vector<double> ok_us;
  std::vector<double> refused_us;
  // How late this client itself was.
  std::vector<double> send_late_us;
  double client_cpu_seconds = 0;
  double server_cpu_seconds = 0;
};

// One load. Two threads: the caller's makes the arrivals, by the clock and without ever waiting for an answer; another
// one takes the answers and, in the closed loop, starts the next call.
//
// The deadline goes to the server as `grpc-timeout` alone. A deadline of the call would let this client's own library
// end the call in time, and a server that answers late would never be seen.
class LoadRun {
 public:
  // `calls` are made in turn and must outlive this.
  LoadRun(const LoadOptions& options, const std::vector<KnownCall>& calls);
  LoadRun(const LoadRun&) = delete;
  LoadRun& operator=(const LoadRun&) = delete;

  // Connects, offers the load and waits for its end; false if no connection came up. To be called once.
  bool Run();

  const LoadOutcome& outcome() const { return outcome_; }

 private:
  struct Call;

  bool Connect();
  // Starts the calls that are due from now on until `until`, each at its time, and returns then.
  void OfferUntil(Clock::time_point until);
  void Start(Clock::time_point intended);
  void TakeAnswers();
  void Record(const Call& call, Clock::time_point now);
  bool IsMeasured(Clock::time_point time) const { return time >= window_start_ && time < window_end_; }
  // Waits for the calls that are out, then cancels what is left.
  void Finish();
  double ServerCpuSeconds() const;

  const LoadOptions options_;
  const std::vector<KnownCall>& calls_;
  std::vector<std::unique_ptr<v1::PredictionService::Stub>> stubs_;
  grpc::CompletionQueue queue_;
  Clock::time_point window_start_;
  Clock::time_point window_end_;

  // The arrivals: only the caller's thread.
  std::mt19937_64 random_;
  Clock::time_point next_arrival_;

  // The answers: only their thread, until it has been joined.
  LoadOutcome outcome_;

  std::mutex mutex_;
  uint64_t started_ = 0;
  std::unordered_set<Call*> live_;
  // What is still live is being cancelled: its ends do not count as answers.
  bool gave_up_ = false;
};

}  // namespace predictd::bench

#endif  // PREDICTD_TESTS_BENCH_ENGINE_LOAD_RUN_H_
