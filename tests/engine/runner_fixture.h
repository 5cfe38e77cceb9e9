#ifndef PREDICTD_TESTS_ENGINE_RUNNER_FIXTURE_H_
#define PREDICTD_TESTS_ENGINE_RUNNER_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "server/async/worker_pool.h"
#include "server/engine/model_runner.h"
#include "tests/fakes/fake_model.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/pending_inference.h"
#include "tests/fakes/recording_observer.h"
#include "tests/fakes/tensors.h"

namespace predictd {

// x FP32[-1,-1] -> y FP32[-1,-1].
inline Signature FloatSignature(int64_t max_batch_size = 64) {
  const TensorSpec spec = {"x", DType::kFp32, {-1, -1}};
  return {{spec}, {{"y", DType::kFp32, {-1, -1}}}, /*batched=*/true, max_batch_size};
}

inline InferenceRequest FloatRequest(Tensor input, TimePoint deadline = kNever) {
  InferenceRequest request;
  request.rows = input.shape()[0];
  request.deadline = deadline;
  request.inputs.push_back(std::move(input));
  return request;
}

// The same with one element per row: only the rows are open.
inline Signature ClosedSignature(int64_t max_batch_size = 64) {
  const TensorSpec spec = {"x", DType::kFp32, {-1, 1}};
  return {{spec}, {{"y", DType::kFp32, {-1, 1}}}, /*batched=*/true, max_batch_size};
}

// One row of one element.
inline InferenceRequest OneRow(float value, TimePoint deadline = kNever) {
  return FloatRequest(Floats({1, 1}, {value}), deadline);
}

// A model that returns INTERNAL if any element is negative, and otherwise its inputs. Strings are never negative.
inline absl::StatusOr<std::vector<Tensor>> FailOnNegative(absl::Span<const Tensor> inputs) {
  if (inputs[0].dtype() == DType::kBytes) return FakeModel::Echo(inputs);
  for (float value : Values(inputs[0])) {
    if (value < 0) return absl::InternalError("negative element");
  }
  return FakeModel::Echo(inputs);
}

// A runner of a fake model on a pool of one worker, with a clock that stands still. Every test leaves the observer's
// counters at 0.
class RunnerTest : public testing::Test {
 protected:
  explicit RunnerTest(FakeModel::Compute compute = FakeModel::Echo) : model_(std::move(compute)) {}

  void TearDown() override {
    model_.Release();
    pool_.Stop();
    EXPECT_EQ(observer_.queued(), 0);
    EXPECT_EQ(observer_.running(), 0);
    EXPECT_FALSE(observer_.went_negative());
  }

  std::shared_ptr<ModelRunner> MakeRunner(Signature signature = FloatSignature(), size_t queue_capacity = 1024) {
    const ModelRunner::Options options = {
        .queue = {.capacity = queue_capacity}, .observer = &observer_, .loop_bound = kLoopBound};
    return std::make_shared<ModelRunner>(model_.Make(), std::move(signature), options, pool_, clock_);
  }

  // The most that a batch may take if it is to run on the thread of a burst.
  static constexpr Duration kLoopBound = std::chrono::microseconds(50);

  // Returns when the worker is inside the model, with a request that ends when the model is released.
  std::unique_ptr<PendingInference> OccupyWorker(ModelRunner& runner) {
    const size_t runs = model_.batch_rows().size();
    model_.Block();
    auto occupant = std::make_unique<PendingInference>(runner, OneRow(0));
    model_.AwaitRuns(runs + 1);
    return occupant;
  }

  FakeModel model_;
  ManualClock clock_;
  RecordingObserver observer_;
  WorkerPool pool_{{.workers = 1, .max_inline_cost = kLoopBound}};
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_ENGINE_RUNNER_FIXTURE_H_
