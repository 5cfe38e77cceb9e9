#ifndef PREDICTD_TESTS_FAKES_FAKE_MODEL_H_
#define PREDICTD_TESTS_FAKES_FAKE_MODEL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/async/mutex.h"
#include "server/model/model.h"

namespace predictd {

// The model of a test: a function, a gate in front of it, and a record of its runs. The test owns it and lets it
// outlive the Model that Make returns, which the code under test owns. Thread-safe.
class FakeModel {
 public:
  using Compute = std::function<absl::StatusOr<std::vector<Tensor>>(absl::Span<const Tensor>)>;

  // `compute` returns a run's outputs; by default these are its inputs. It is called without a lock, on several threads
  // at once.
  explicit FakeModel(Compute compute = Echo) : compute_(std::move(compute)) {}

  static absl::StatusOr<std::vector<Tensor>> Echo(absl::Span<const Tensor> inputs) {
    return std::vector<Tensor>(inputs.begin(), inputs.end());
  }

  std::unique_ptr<Model> Make() { return std::make_unique<Loaded>(*this); }

  // Runs that begin from now on wait at the gate, until Release or until ReleaseOne lets one of them pass.
  void Block() {
    MutexLock lock(mutex_);
    blocked_ = true;
  }
  void Release() {
    MutexLock lock(mutex_);
    blocked_ = false;
    changed_.NotifyAll();
  }
  void ReleaseOne() {
    MutexLock lock(mutex_);
    ++passes_;
    changed_.NotifyAll();
  }

  // Models made from now on say that the cost of a run depends on their inputs' elements.
  void LetElementsDecideTheCost() { cost_depends_on_shapes_only_ = false; }

  // Waits until that many runs have begun since the construction, blocked or not.
  void AwaitRuns(size_t runs) {
    MutexLock lock(mutex_);
    while (batch_rows_.size() < runs) changed_.Wait(mutex_);
  }

  // The rows of the first input of each run, in the order in which they began.
  std::vector<int64_t> batch_rows() const {
    MutexLock lock(mutex_);
    return batch_rows_;
  }

  // Whether a Model was made and destroyed.
  bool destroyed() const {
    MutexLock lock(mutex_);
    return destroyed_;
  }

 private:
  class Loaded final : public Model {
   public:
    explicit Loaded(FakeModel& fake) : fake_(fake) {}
    ~Loaded() override {
      MutexLock lock(fake_.mutex_);
      fake_.destroyed_ = true;
    }
    absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) override {
      fake_.PassGate(inputs[0].shape().empty() ? 1 : inputs[0].shape()[0]);
      return fake_.compute_(inputs);
    }
    bool cost_depends_on_shapes_only() const override { return fake_.cost_depends_on_shapes_only_; }

   private:
    FakeModel& fake_;
  };

  void PassGate(int64_t rows) {
    MutexLock lock(mutex_);
    batch_rows_.push_back(rows);
    changed_.NotifyAll();
    while (blocked_ && passes_ == 0) changed_.Wait(mutex_);
    if (blocked_) --passes_;
  }

  const Compute compute_;
  std::atomic<bool> cost_depends_on_shapes_only_{true};

  mutable Mutex mutex_;
  CondVar changed_;
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;
  int passes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool destroyed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int64_t> batch_rows_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_FAKE_MODEL_H_
