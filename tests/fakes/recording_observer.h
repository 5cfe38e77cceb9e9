#ifndef PREDICTD_TESTS_FAKES_RECORDING_OBSERVER_H_
#define PREDICTD_TESTS_FAKES_RECORDING_OBSERVER_H_

#include <atomic>

#include "server/engine/model_runner.h"

namespace predictd {

// Adds up what a runner reports. Thread-safe.
class RecordingObserver final : public RunnerObserver {
 public:
  void OnQueuedChange(int64_t by) override {
    if (const int64_t queued = queued_ += by; queued < 0) went_negative_ = true;
  }
  void OnRunningChange(int64_t by) override {
    if (const int64_t running = running_ += by; running < 0) went_negative_ = true;
  }
  void OnBatch(int64_t rows, Duration /*compute*/) override {
    ++batches_;
    rows_ += rows;
  }
  void OnDequeued(Duration waited) override {
    ++dequeued_;
    waited_ += waited.count();
  }

  int64_t queued() const { return queued_; }
  int64_t running() const { return running_; }
  int64_t batches() const { return batches_; }
  int64_t rows() const { return rows_; }
  int64_t dequeued() const { return dequeued_; }
  Duration waited() const { return Duration(waited_.load()); }
  // Whether queued() or running() was ever below 0.
  bool went_negative() const { return went_negative_; }

 private:
  std::atomic<int64_t> queued_{0};
  std::atomic<int64_t> running_{0};
  std::atomic<int64_t> batches_{0};
  std::atomic<int64_t> rows_{0};
  std::atomic<int64_t> dequeued_{0};
  std::atomic<Duration::rep> waited_{0};
  std::atomic<bool> went_negative_{false};
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_RECORDING_OBSERVER_H_
