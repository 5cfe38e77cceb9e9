#ifndef PREDICTD_TESTS_FAKES_PENDING_INFERENCE_H_
#define PREDICTD_TESTS_FAKES_PENDING_INFERENCE_H_

#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "server/async/mutex.h"
#include "server/async/stop.h"
#include "server/async/task.h"
#include "server/engine/model_runner.h"

namespace predictd {

// A request on its way through a runner, awaited in the way a call awaits it. The constructor starts it; the destructor
// cancels it if it has not ended. Thread-safe.
class PendingInference {
 public:
  PendingInference(ModelRunner& runner, InferenceRequest request, Admission admission = Admission::kIfRoom) {
    Detach(Run(*this, runner, std::move(request), admission));
  }
  ~PendingInference() {
    stop_.RequestStop(StopReason::kCancelled);
    Await();
  }
  PendingInference(const PendingInference&) = delete;
  PendingInference& operator=(const PendingInference&) = delete;

  StopSource& stop() { return stop_; }

  bool ended() const {
    MutexLock lock(mutex_);
    return ends_ > 0;
  }
  // How often it has ended. In the end this must be 1.
  int ends() const {
    MutexLock lock(mutex_);
    return ends_;
  }
  const absl::StatusOr<InferenceResult>& Await() const {
    MutexLock lock(mutex_);
    while (ends_ == 0) ended_.Wait(mutex_);
    return result_;
  }
  absl::Status AwaitStatus() const { return Await().status(); }
  // The thread on which it ended.
  std::thread::id thread() const {
    MutexLock lock(mutex_);
    return thread_;
  }

 private:
  static Task<> Run(PendingInference& self, ModelRunner& runner, InferenceRequest request, Admission admission) {
    absl::StatusOr<InferenceResult> result;
    {
      ModelRunner::Inference inference(runner, std::move(request), self.stop_, admission);
      result = co_await inference;
    }
    MutexLock lock(self.mutex_);
    self.result_ = std::move(result);
    self.thread_ = std::this_thread::get_id();
    ++self.ends_;
    self.ended_.NotifyAll();
  }

  StopSource stop_;
  mutable Mutex mutex_;
  mutable CondVar ended_;
  absl::StatusOr<InferenceResult> result_;
  std::thread::id thread_ ABSL_GUARDED_BY(mutex_);
  int ends_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_PENDING_INFERENCE_H_
