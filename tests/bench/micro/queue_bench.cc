// What the engine's queues cost, by how much waits in them: run bench_queue.

#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "server/async/fair_queue.h"
#include "server/async/worker_pool.h"
#include "server/engine/job_queue.h"

namespace predictd {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr auto kSecond = std::chrono::seconds(1);

// A queue with so many requests, at random places of its order. Batches are single requests.
class FilledQueue {
 public:
  FilledQueue(int64_t queued, int64_t groups)
      : groups_(groups), queue_({.capacity = static_cast<size_t>(queued) + 1, .max_rows = 1}) {
    for (int64_t i = 0; i < queued; ++i) {
      jobs_.push_back(std::make_shared<Job>(InferenceRequest{}));
      Push(jobs_.back());
    }
  }

  JobQueue& queue() { return queue_; }
  std::shared_ptr<Job>& random_job() { return jobs_[random_() % jobs_.size()]; }

  // Of the next second. Without a deadline the order is that of arrival.
  TimePoint RandomTime() { return now_ + nanoseconds(random_() % nanoseconds(kSecond).count()); }

  void Push(std::shared_ptr<Job> job) {
    now_ += nanoseconds(1);
    queue_.Push(std::move(job), {static_cast<int64_t>(random_() % groups_)}, /*bytes=*/4, RandomTime());
  }
  std::shared_ptr<Job> Take() { return std::move(queue_.Take(now_, {}).batch.front()); }

 private:
  const uint64_t groups_;
  std::mt19937 random_;
  TimePoint now_ = {};
  JobQueue queue_;
  std::vector<std::shared_ptr<Job>> jobs_;
};

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"queued", "groups"});
  for (int64_t groups : {1, 100}) {
    for (int64_t queued = 1; queued <= 100'000; queued *= 10) benchmark->Args({queued, groups});
  }
}

void BM_PushAndTake(benchmark::State& state) {
  FilledQueue filled(state.range(0), state.range(1));
  for (auto _ : state) filled.Push(filled.Take());
}
BENCHMARK(BM_PushAndTake)->Apply(Sizes);

// What a cancelled request costs, and the one that comes instead.
void BM_RemoveAndPush(benchmark::State& state) {
  FilledQueue filled(state.range(0), state.range(1));
  for (auto _ : state) {
    const std::shared_ptr<Job>& job = filled.random_job();
    if (!filled.queue().Remove(*job)) state.SkipWithError("a request was not in the queue");
    filled.Push(job);
  }
}
BENCHMARK(BM_RemoveAndPush)->Apply(Sizes);

// What admission asks for each request.
void BM_RowsAhead(benchmark::State& state) {
  FilledQueue filled(state.range(0), state.range(1));
  const InferenceRequest request;
  for (auto _ : state) benchmark::DoNotOptimize(filled.queue().RowsAhead(request, filled.RandomTime()));
}
BENCHMARK(BM_RowsAhead)->Apply(Sizes);

class IdleSource final : public WorkSource {
 public:
  void RunStep() override {}
  Duration StepCost() const override { return std::chrono::microseconds(100); }
};

// A turn, from when the source is ready to when its step has ended, beside others that are ready.
void BM_FairQueueTurn(benchmark::State& state) {
  FairQueue queue(4);
  for (int64_t i = 0; i < state.range(0); ++i) queue.Add(std::make_shared<IdleSource>());
  for (auto _ : state) {
    const FairQueue::Turn turn = queue.Take();
    queue.Ended(turn, turn.charged);
    queue.Add(turn.source);
  }
}
BENCHMARK(BM_FairQueueTurn)->ArgName("sources")->Arg(1)->Arg(10)->Arg(100);

// Says when its step began.
class SignallingSource final : public WorkSource {
 public:
  void RunStep() override {
    began_ = steady_clock::now();
    ran_.store(true);
    ran_.notify_one();
  }
  TimePoint AwaitStep() {
    ran_.wait(false);
    ran_.store(false);
    return began_;
  }

 private:
  TimePoint began_;
  std::atomic<bool> ran_{false};
};

// From Ready to the step on a worker that sleeps.
void BM_ReadyToStep(benchmark::State& state) {
  WorkerPool pool({.workers = 1});
  const auto source = std::make_shared<SignallingSource>();
  for (auto _ : state) {
    const TimePoint ready = steady_clock::now();
    pool.Ready(source);
    state.SetIterationTime(std::chrono::duration<double>(source->AwaitStep() - ready).count());
  }
}
BENCHMARK(BM_ReadyToStep)->UseManualTime();

// Is ready again after each step, until it had enough of them.
class BusySource final : public WorkSource, public std::enable_shared_from_this<BusySource> {
 public:
  explicit BusySource(WorkerPool& pool) : pool_(pool) {}
  void RunStep() override {
    if (--left_ > 0) return pool_.Ready(shared_from_this());
    left_.notify_one();
  }
  void Run(int64_t steps) {
    left_.store(steps);
    pool_.Ready(shared_from_this());
    for (int64_t left = steps; left > 0; left = left_.load()) left_.wait(left);
  }

 private:
  WorkerPool& pool_;
  std::atomic<int64_t> left_{0};
};

// From one step to the next on a worker that is busy.
void BM_StepToStep(benchmark::State& state) {
  constexpr int64_t kSteps = 10'000;
  WorkerPool pool({.workers = 1});
  const auto source = std::make_shared<BusySource>(pool);
  for (auto _ : state) source->Run(kSteps);
  state.SetItemsProcessed(state.iterations() * kSteps);
}
BENCHMARK(BM_StepToStep)->UseRealTime();

}  // namespace
}  // namespace predictd
