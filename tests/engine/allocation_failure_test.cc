// Checks that nothing is left of a request that fails for lack of memory: every allocation of the engine fails once,
// and then together with all that follow it.

#include <gtest/gtest.h>

#include <deque>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "server/async/task.h"
#include "server/async/work_status.h"
#include "server/engine/job_queue.h"
#include "server/engine/response_cache.h"
#include "server/engine/row_stream.h"
#include "tests/engine/runner_fixture.h"
#include "tests/fakes/failing_allocations.h"

namespace predictd {
namespace {

// How long a batch waits for more requests.
constexpr Duration kDelay = std::chrono::milliseconds(1);

// Runs steps on the test's thread when it is told to. Noting steps needs memory, as in the pool.
class ManualScheduler final : public WorkScheduler {
 public:
  explicit ManualScheduler(ManualClock& clock) : clock_(clock) {}

  void Ready(std::shared_ptr<WorkSource> source) override { ready_.push_back(std::move(source)); }
  void ReadyAt(std::shared_ptr<WorkSource> source, TimePoint /*when*/) override { later_.push_back(std::move(source)); }
  double WorkersFor(const WorkSource& /*source*/) const override { return 1; }

  // Runs all steps. Lets time pass for those that are to run later.
  void RunAll() {
    while (!ready_.empty() || !later_.empty()) {
      if (ready_.empty()) clock_.Advance(kDelay);
      std::deque<std::shared_ptr<WorkSource>>& list = ready_.empty() ? later_ : ready_;
      const std::shared_ptr<WorkSource> source = std::move(list.front());
      list.pop_front();
      source->RunStep();
    }
  }

 private:
  ManualClock& clock_;
  std::deque<std::shared_ptr<WorkSource>> ready_;
  std::deque<std::shared_ptr<WorkSource>> later_;
};

// A model that doubles its input; INTERNAL for a negative element. It copies, as a real model does.
class Doubling final : public Model {
 public:
  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) override {
    std::vector<float> values = Values(inputs[0]);
    for (float& value : values) {
      if (value < 0) return absl::InternalError("negative element");
      value *= 2;
    }
    return std::vector<Tensor>{Floats(inputs[0].shape(), values)};
  }
};

// A caller that waits for an answer.
struct Caller {
  StopSource stop;
  int ends = 0;
  absl::Status status;
  std::vector<float> values;
};

Task<> Call(Caller& caller, ModelRunner& runner, InferenceRequest request) {
  absl::StatusOr<InferenceResult> result;
  try {
    ModelRunner::Inference inference = runner.Infer(std::move(request), caller.stop);
    result = co_await inference;
  } catch (const std::exception&) {
    result = StatusOfException();
  }
  const FailingAllocations::Pause pause;
  caller.status = result.status();
  if (result.ok()) caller.values = Values(result->outputs[0]);
  ++caller.ends;
}

Task<> Read(Caller& caller, std::shared_ptr<ModelRunner> runner, InferenceRequest request) {
  std::optional<RowStream> stream;
  try {
    stream.emplace(std::move(runner), std::move(request), RowStream::Options{.chunk_rows = 1, .window = 3},
                   caller.stop);
    while (true) {
      std::optional<RowStream::Chunk> chunk = co_await stream->Next();
      const FailingAllocations::Pause pause;
      if (!chunk.has_value()) break;
      if (!chunk->result.ok()) {
        caller.status = chunk->result.status();
        continue;
      }
      for (float value : Values(chunk->result->outputs[0])) caller.values.push_back(value);
    }
  } catch (const std::exception&) {
    caller.status = StatusOfException();
  }
  caller.stop.RequestStop(StopReason::kFailed);
  if (stream.has_value()) co_await stream->Drain();
  ++caller.ends;
}

// Starts a request, or ends it at once if there is not even memory for the coroutine.
template <class Start>
void Begin(Caller& caller, const Start& start) {
  try {
    start();
  } catch (const std::bad_alloc&) {
    caller.status = OutOfMemoryStatus();
    ++caller.ends;
  }
}

bool IsOutOfMemory(const absl::Status& status) {
  return absl::IsResourceExhausted(status);
}

// The parameter: whether all allocations after the failing one fail as well.
class AllocationFailureTest : public testing::TestWithParam<bool> {
 protected:
  // Calls `run` with the number of allocations after which one fails, until none fails any more.
  template <class Run>
  void Sweep(const Run& run) {
    int64_t after = 0;
    while (run(after)) {
      ASSERT_FALSE(HasFailure()) << "when allocation " << after << " fails";
      ASSERT_LT(++after, 10'000);
    }
    EXPECT_GT(after, 10) << "there was next to nothing that could fail";
  }

  std::shared_ptr<ModelRunner> MakeRunner() {
    const ModelRunner::Options options = {.queue = {.max_delay = kDelay}, .observer = &observer_};
    return std::make_shared<ModelRunner>(std::make_unique<Doubling>(), FloatSignature(), options, scheduler_, clock_);
  }

  void ExpectNothingLeft(const ModelRunner& runner) {
    EXPECT_EQ(runner.queued(), 0);
    EXPECT_EQ(observer_.queued(), 0);
    EXPECT_EQ(observer_.running(), 0);
    EXPECT_FALSE(observer_.went_negative());
  }

  ManualClock clock_;
  ManualScheduler scheduler_{clock_};
  RecordingObserver observer_;
};

TEST_P(AllocationFailureTest, EveryRequestEndsOnceAndTheRunnerGoesOn) {
  Sweep([this](int64_t after) {
    const auto runner = MakeRunner();
    std::vector<InferenceRequest> requests;
    for (float value : {1.0F, -1.0F, 2.0F, 3.0F}) requests.push_back(OneRow(value));
    requests.push_back(FloatRequest(Floats({1, 2}, {4, 5})));
    requests.push_back(OneRow(6, clock_.Now() + std::chrono::microseconds(1)));
    std::vector<Caller> callers(requests.size());
    bool failed = false;
    {
      const FailingAllocations failing(after, GetParam());
      for (size_t i = 0; i < requests.size(); ++i) {
        Begin(callers[i], [&] { Detach(Call(callers[i], *runner, std::move(requests[i]))); });
      }
      clock_.Advance(std::chrono::milliseconds(2));
      scheduler_.RunAll();
      failed = failing.failed();
    }
    scheduler_.RunAll();
    for (size_t i = 0; i < callers.size(); ++i) {
      EXPECT_EQ(callers[i].ends, 1) << "request " << i;
      EXPECT_TRUE(failed || !IsOutOfMemory(callers[i].status)) << i << " " << callers[i].status;
      EXPECT_EQ(callers[i].status.ok(), !callers[i].values.empty());
    }
    EXPECT_FALSE(callers[1].status.ok());
    ExpectNothingLeft(*runner);
    Caller again;
    Detach(Call(again, *runner, OneRow(21)));
    scheduler_.RunAll();
    EXPECT_EQ(again.values, std::vector<float>{42}) << again.status;
    return failed;
  });
}

TEST_P(AllocationFailureTest, EveryStoppedRequestEndsOnce) {
  Sweep([this](int64_t after) {
    const auto runner = MakeRunner();
    std::vector<Caller> callers(3);
    bool failed = false;
    {
      const FailingAllocations failing(after, GetParam());
      for (Caller& caller : callers) {
        Begin(caller, [&] { Detach(Call(caller, *runner, OneRow(1))); });
      }
      for (Caller& caller : callers) caller.stop.RequestStop(StopReason::kDeadline);
      failed = failing.failed();
    }
    scheduler_.RunAll();
    for (const Caller& caller : callers) {
      EXPECT_EQ(caller.ends, 1);
      EXPECT_TRUE(absl::IsDeadlineExceeded(caller.status) || (failed && IsOutOfMemory(caller.status)));
    }
    ExpectNothingLeft(*runner);
    return failed;
  });
}

TEST_P(AllocationFailureTest, EveryStreamEndsOnceWithAllOfItsRowsOrAnError) {
  Sweep([this](int64_t after) {
    const auto runner = MakeRunner();
    Caller caller;
    InferenceRequest request = FloatRequest(Floats({5, 1}, {1, 2, 3, 4, 5}));
    bool failed = false;
    {
      const FailingAllocations failing(after, GetParam());
      Begin(caller, [&] { Detach(Read(caller, runner, std::move(request))); });
      scheduler_.RunAll();
      failed = failing.failed();
    }
    scheduler_.RunAll();
    EXPECT_EQ(caller.ends, 1);
    if (caller.status.ok()) {
      EXPECT_EQ(caller.values, (std::vector<float>{2, 4, 6, 8, 10}));
    } else {
      EXPECT_TRUE(failed && IsOutOfMemory(caller.status)) << caller.status;
    }
    ExpectNothingLeft(*runner);
    return failed;
  });
}

// Adds up what the cache reports to hold.
class CountingCacheObserver final : public ResponseCacheObserver {
 public:
  void OnLookup(bool /*hit*/) override {}
  void OnSizeChange(int64_t entries, int64_t bytes) override {
    entries_ += entries;
    bytes_ += bytes;
  }
  void OnEvicted(int64_t /*entries*/) override {}

  int64_t entries() const { return entries_; }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t entries_ = 0;
  int64_t bytes_ = 0;
};

TEST_P(AllocationFailureTest, CacheHasTheAnswerOrHasItNot) {
  const std::vector<Tensor> inputs = {Floats({1}, {1})};
  const std::vector<Tensor> outputs = {Floats({2}, {3, 4})};
  const RequestKey key = *MakeRequestKey(1, inputs);
  for (int64_t after = 0; after < 100; ++after) {
    CountingCacheObserver observer;
    {
      ResponseCache cache({.capacity_bytes = 1 << 16, .observer = &observer}, clock_);
      bool failed = false;
      {
        const FailingAllocations failing(after, GetParam());
        cache.Store(key, outputs);
        failed = failing.failed();
      }
      EXPECT_EQ(cache.Lookup(key).has_value(), !failed);
      EXPECT_EQ(observer.entries(), failed ? 0 : 1);
      cache.Store(key, outputs);
      EXPECT_EQ(Values(cache.Lookup(key)->outputs[0]), (std::vector<float>{3, 4}));
      if (!failed) return;
    }
    EXPECT_EQ(observer.bytes(), 0);
  }
  FAIL() << "there is no end of allocations";
}

INSTANTIATE_TEST_SUITE_P(Once, AllocationFailureTest, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(FromThenOn, AllocationFailureTest, testing::Values(true));

TEST(JobQueueMemoryTest, KindsOfRequestsThatAreGoneTakeNothing) {
  JobQueue queue({});
  const auto pass = [&](int64_t width) {
    InferenceRequest request = OneRow(1);
    queue.Push(std::make_shared<Job>(std::move(request)), {width}, /*bytes=*/4, TimePoint());
    EXPECT_EQ(queue.Take(TimePoint(), {.most_rows = 64}).batch.size(), 1U);
  };
  // A few are kept for those who come again.
  for (int64_t width = 0; width < 1'000; ++width) pass(width);
  const int64_t live = FailingAllocations::Live();
  for (int64_t width = 1'000; width < 10'000; ++width) pass(width);
  EXPECT_NEAR(static_cast<double>(FailingAllocations::Live()), static_cast<double>(live), 10);
}

}  // namespace
}  // namespace predictd
