#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "server/async/retry_advice.h"
#include "server/engine/model_runner.h"
#include "tests/engine/runner_fixture.h"

namespace predictd {
namespace {

constexpr int kThreads = 3;
constexpr int kRequests = 4000;
constexpr size_t kInFlight = 32;

using Runners = std::vector<std::shared_ptr<ModelRunner>>;

// A request, and what may happen to it.
struct Expected {
  float value = 0;
  bool may_be_stopped = false;
  bool has_deadline = false;
  std::unique_ptr<PendingInference> call;
};

// Whether it ended exactly once, in a way that its circumstances allow.
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
      return RetryAfter(result.status()).has_value();
    default:
      return false;
  }
}

// Sends requests, keeps some of them in flight, and stops some of these, as callers do from a runner's point of view.
class Caller {
 public:
  Caller(const Runners& runners, WorkerPool& pool, uint32_t seed) : runners_(runners), pool_(pool), random_(seed) {}

  // Returns the number of requests that ended in a wrong way.
  int Run() {
    for (int sent = 0; sent < kRequests;) {
      if (random_() % 4 == 0) {
        // As an event loop sends requests.
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
  // The number of requests that were refused because of their deadlines.
  int refused() const { return refused_; }

 private:
  void Send() {
    Expected e;
    e.value = static_cast<float>(random_() % 100'000);
    if (random_() % 20 == 0) e.value = -1;
    TimePoint deadline = kNever;
    if (random_() % 4 == 0) {
      e.has_deadline = true;
      deadline =
          std::chrono::steady_clock::now() + std::chrono::microseconds(random_() % (random_() % 2 == 0 ? 10 : 1000));
    }
    InferenceRequest request = OneRow(e.value, deadline);
    request.priority = random_() % (kMaxPriority + 1);
    ModelRunner& runner = *runners_[random_() % runners_.size()];
    e.call = std::make_unique<PendingInference>(runner, std::move(request),
                                                random_() % 8 == 0 ? Admission::kIfSpare : Admission::kIfRoom);
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
    if (absl::StartsWith(flying_.front().call->AwaitStatus().message(), "the request would miss")) ++refused_;
    flying_.pop_front();
  }

  const Runners& runners_;
  WorkerPool& pool_;
  std::mt19937 random_;
  std::deque<Expected> flying_;
  int wrong_ = 0;
  int refused_ = 0;
};

class RunnerStorm : public testing::TestWithParam<int> {};

TEST_P(RunnerStorm, EveryRequestEndsExactlyOnceAndTheCountersReturnToZero) {
  FakeModel model(FailOnNegative);
  RecordingObserver observer;
  const SteadyClock clock;
  WorkerPool pool({.workers = GetParam(), .max_inline_cost = std::chrono::microseconds(50)});
  // A default one, a heavy one that waits for larger batches, and one that gets at most one worker.
  const std::vector<ModelRunner::Options> options = {
      {.queue = {.capacity = 48}, .observer = &observer},
      {.queue = {.capacity = 48, .max_delay = std::chrono::microseconds(200), .preferred_rows = {4}},
       .share = {.weight = 3},
       .observer = &observer},
      {.queue = {.capacity = 48}, .share = {.max_concurrency = 1}, .observer = &observer}};
  Runners runners;
  for (const auto& o : options) {
    runners.push_back(std::make_shared<ModelRunner>(model.Make(), FloatSignature(8), o, pool, clock));
  }
  std::atomic<int> wrong{0};
  std::atomic<int> refused{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Caller caller(runners, pool, 1000 * GetParam() + t);
      wrong += caller.Run();
      refused += caller.refused();
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0) << "seeds " << 1000 * GetParam() << " to " << 1000 * GetParam() + kThreads - 1;
  EXPECT_GT(refused, 0);
  for (const auto& runner : runners) EXPECT_EQ(runner->queued(), 0);
  pool.Stop();
  EXPECT_EQ(observer.queued(), 0);
  EXPECT_EQ(observer.running(), 0);
  EXPECT_FALSE(observer.went_negative());
  EXPECT_GT(observer.batches(), 0);
}

INSTANTIATE_TEST_SUITE_P(Workers, RunnerStorm, testing::Values(1, 2, 4));

}  // namespace
}  // namespace predictd
