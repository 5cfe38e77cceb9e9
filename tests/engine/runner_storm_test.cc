#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "server/engine/model_runner.h"
#include "tests/engine/runner_test.h"

namespace predictd {
namespace {

constexpr int kThreads = 3;
constexpr int kRequests = 4000;
constexpr size_t kInFlight = 32;

// A request and what may become of it.
struct Expected {
  float value = 0;
  bool may_be_stopped = false;
  bool has_deadline = false;
  std::unique_ptr<PendingInference> call;
};

// Whether it ended once, in a way that its circumstances allow.
bool EndedWell(const Expected& e) {
  const absl::StatusOr<InferenceResult>& result = e.call->Await();
  if (e.call->ends() != 1) return false;
  switch (result.status().code()) {
    case absl::StatusCode::kOk:
      return e.value >= 0 && Values(result->outputs[0]) == std::vector<float>{e.value};
    case absl::StatusCode::kInternal:
      return e.value < 0;
    case absl::StatusCode::kCancelled:
      return e.may_be_stopped;
    case absl::StatusCode::kDeadlineExceeded:
      return e.has_deadline || e.may_be_stopped;
    case absl::StatusCode::kResourceExhausted:
      return true;
    default:
      return false;
  }
}

// Sends requests, keeps some of them in flight, and stops some of these; what callers do, seen from a runner.
class Caller {
 public:
  Caller(ModelRunner& runner, WorkerPool& pool, uint32_t seed) : runner_(runner), pool_(pool), random_(seed) {}

  // How many requests ended in a way that they should not.
  int Run() {
    for (int sent = 0; sent < kRequests;) {
      if (random_() % 4 == 0) {
        // As an event loop does it.
        const WorkerPool::WakeupBatch burst(pool_);
        for (uint32_t i = random_() % 8; i > 0 && sent < kRequests; --i, ++sent) Send();
      } else {
        Send();
        ++sent;
      }
      if (random_() % 4 == 0) StopOne();
      while (flying_.size() > kInFlight) Land();
    }
    while (!flying_.empty()) Land();
    return wrong_;
  }

 private:
  void Send() {
    Expected e;
    e.value = static_cast<float>(random_() % 100'000);
    if (random_() % 20 == 0) e.value = -1;
    TimePoint deadline = kNever;
    if (random_() % 4 == 0) {
      e.has_deadline = true;
      deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(random_() % 300);
    }
    e.call = std::make_unique<PendingInference>(runner_, OneRow(e.value, deadline));
    flying_.push_back(std::move(e));
  }

  void StopOne() {
    if (flying_.empty()) return;
    Expected& e = flying_[random_() % flying_.size()];
    e.may_be_stopped = true;
    e.call->stop().RequestStop(random_() % 2 == 0 ? StopReason::kCancelled : StopReason::kDeadline);
  }

  void Land() {
    if (!EndedWell(flying_.front())) ++wrong_;
    flying_.pop_front();
  }

  ModelRunner& runner_;
  WorkerPool& pool_;
  std::mt19937 random_;
  std::deque<Expected> flying_;
  int wrong_ = 0;
};

class RunnerStorm : public testing::TestWithParam<int> {};

TEST_P(RunnerStorm, EveryRequestEndsExactlyOnceAndTheCountersReturnToZero) {
  FakeModel model(FailOnNegative);
  RecordingObserver observer;
  const SteadyClock clock;
  WorkerPool pool({.workers = GetParam(), .max_inline_cost = std::chrono::microseconds(50)});
  const ModelRunner::Options options = {.queue = {.capacity = 48}, .observer = &observer};
  const auto runner = std::make_shared<ModelRunner>(model.Make(), FloatSignature(8), options, pool, clock);
  std::atomic<int> wrong{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { wrong += Caller(*runner, pool, 1000 * GetParam() + t).Run(); });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0) << "seeds " << 1000 * GetParam() << " to " << 1000 * GetParam() + kThreads - 1;
  EXPECT_EQ(runner->queued(), 0);
  pool.Stop();
  EXPECT_EQ(observer.queued(), 0);
  EXPECT_EQ(observer.running(), 0);
  EXPECT_FALSE(observer.went_negative());
  EXPECT_GT(observer.batches(), 0);
}

INSTANTIATE_TEST_SUITE_P(Workers, RunnerStorm, testing::Values(1, 2, 4));

}  // namespace
}  // namespace predictd
