#include "server/serving/loader.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/serving/catalog.h"
#include "server/serving/runner_loading.h"
#include "tests/engine/runner_fixture.h"
#include "tests/fakes/fake_backends.h"

namespace predictd {
namespace {

ModelEntry Entry(std::string name, const std::vector<int64_t>& versions, bool warmup = true) {
  ModelEntry entry;
  entry.name = std::move(name);
  entry.config.signature = FloatSignature(/*max_batch_size=*/4);
  entry.config.warmup = warmup;
  for (int64_t version : versions) entry.versions.push_back({version, &kFakeScripts, ""});
  return entry;
}

// Loads fake models; notes what the loader says.
class LoaderTest : public testing::Test {
 protected:
  void Start(std::vector<ModelEntry> entries, int workers = 1) {
    pool_ = std::make_unique<WorkerPool>(WorkerPool::Options{.workers = workers});
    resources_ = std::make_unique<RunnerResources>(
        RunnerResources{.pool = *pool_,
                        .reaper = *reaper_,
                        .clock = clock_,
                        .memory = memory_,
                        .load = [this](const ServedVersion& version) { return load_(version.entry()); }});
    catalog_ = std::make_unique<Catalog>(entries, *reaper_, CatalogParts{.cache = make_cache_});
    loader_ = std::make_unique<Loader>(
        [this](ServedVersion& version, const std::atomic<bool>& stopping, LoadFindings& findings)
            -> absl::StatusOr<Servable> { return LoadRunner(version, *resources_, stopping, findings); },
        [this](const ServedVersion& version, const absl::Status& status, const LoadFindings& report) {
          MutexLock lock(mutex_);
          const std::string name = version.model() + "/" + std::to_string(version.number());
          order_.push_back(name);
          told_[name] = {version.state(), status};
          reports_[name] = report;
          changed_.NotifyAll();
        },
        *reaper_);
    for (const auto& [name, model] : catalog_->snapshot()->models()) {
      for (const auto& version : model->versions()) {
        if (version->state() == VersionState::kLoading) loader_->Load(version);
      }
    }
  }

  // Waits until the loader is through with that many versions.
  void AwaitTold(size_t versions) {
    MutexLock lock(mutex_);
    while (order_.size() < versions) changed_.Wait(mutex_);
  }

  // Destroys all models, which a test whose model is its own has to wait for.
  void End() {
    loader_.reset();
    pool_->Stop();
    catalog_.reset();
    reaper_.reset();
  }

  ServedVersion& Version(const std::string& model, size_t index = 0) {
    return *catalog_->snapshot()->models().at(model)->versions()[index];
  }

  FakeModel model_;
  ManualClock clock_;
  std::function<absl::StatusOr<std::unique_ptr<Model>>(const VersionEntry&)> load_ = [this](const VersionEntry&) {
    return model_.Make();
  };
  std::function<std::shared_ptr<ResponseCache>(const std::string&, const ModelConfig&, int64_t)> make_cache_;
  MemoryPlan memory_{int64_t{1} << 40, 0};
  std::unique_ptr<WorkerPool> pool_;
  std::optional<Reaper> reaper_{std::in_place};
  std::unique_ptr<RunnerResources> resources_;
  std::unique_ptr<Catalog> catalog_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> order_;
  std::map<std::string, std::pair<VersionState, absl::Status>> told_;
  std::map<std::string, LoadFindings> reports_;
  std::unique_ptr<Loader> loader_;
};

TEST_F(LoaderTest, EveryVersionBecomesReadyAndIsReported) {
  Start({Entry("a", {2, 1}), Entry("b", {1})});
  AwaitTold(3);
  loader_.reset();
  EXPECT_EQ(order_, (std::vector<std::string>{"a/2", "a/1", "b/1"}));
  for (const auto& [name, told] : told_) {
    EXPECT_EQ(told.first, VersionState::kReady) << name;
    EXPECT_TRUE(told.second.ok()) << name;
  }
  EXPECT_FALSE(catalog_->snapshot()->loading());
  const PendingInference call(*Version("a").runner(), OneRow(5));
  EXPECT_EQ(Values(call.Await()->outputs[0]), std::vector<float>{5});
  pool_->Stop();
}

TEST_F(LoaderTest, FailureIsReportedWithItsCauseOfWhichCallersSeeNoPaths) {
  load_ = [this](const VersionEntry& version) -> absl::StatusOr<std::unique_ptr<Model>> {
    if (version.version == 2) return absl::InternalError("cannot read /secret/path");
    return model_.Make();
  };
  Start({Entry("a", {2, 1})});
  AwaitTold(2);
  loader_.reset();
  EXPECT_EQ(told_["a/2"].first, VersionState::kFailed);
  EXPECT_EQ(told_["a/2"].second, absl::InternalError("cannot read /secret/path"));
  EXPECT_EQ(Version("a").reason(), "cannot read path");
  EXPECT_EQ(told_["a/1"].first, VersionState::kReady) << "the next one is loaded nevertheless";
}

TEST_F(LoaderTest, VersionThatFoundNoMemoryMayTryAgainWhenAnotherHasGone) {
  FakeModel hungry([](absl::Span<const Tensor>) -> absl::StatusOr<std::vector<Tensor>> {
    return absl::ResourceExhaustedError("no memory");
  });
  load_ = [&](const VersionEntry& version) { return version.version == 2 ? hungry.Make() : model_.Make(); };
  std::atomic<int> retries{0};
  memory_.OnRoom([&retries] { ++retries; });
  Start({Entry("a", {2, 1})});
  AwaitTold(2);
  EXPECT_EQ(told_["a/2"].first, VersionState::kFailed);
  reaper_->Finish();
  EXPECT_EQ(retries, 0) << "what it took itself does not help it";
  End();
  EXPECT_EQ(retries, 1);
}

TEST_F(LoaderTest, NextOneFindsTheMemoryOfThoseThatHaveGone) {
  struct Slow {
    explicit Slow(std::atomic<bool>& gone) : gone(gone) {}
    ~Slow() {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      gone = true;
    }
    std::atomic<bool>& gone;
  };
  std::atomic<bool> gone{false};
  std::atomic<bool> seen{false};
  load_ = [&](const VersionEntry& version) -> absl::StatusOr<std::unique_ptr<Model>> {
    if (version.version == 1) {
      seen = gone.load();
      return model_.Make();
    }
    (void)reaper_->Own(std::make_unique<Slow>(gone));
    return absl::InternalError("it fails");
  };
  Start({Entry("a", {2, 1})});
  AwaitTold(2);
  EXPECT_TRUE(seen);
  End();
}

TEST_F(LoaderTest, ReadsWithoutTakingTheProcessorFromCalls) {
  std::atomic<int> niceness{0};
  load_ = [&](const VersionEntry&) {
    niceness = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
    return model_.Make();
  };
  Start({Entry("a", {1})});
  AwaitTold(1);
  EXPECT_GE(niceness, 10);
  End();
}

TEST_F(LoaderTest, VersionWithAWrongFolderIsNotRead) {
  ModelEntry entry = Entry("a", {2, 1});
  entry.versions[0].status = absl::InvalidArgumentError("neither");
  Start({entry});
  AwaitTold(1);
  loader_.reset();
  EXPECT_EQ(order_, std::vector<std::string>{"a/1"});
  EXPECT_EQ(Version("a", 0).reason(), "neither");
  EXPECT_EQ(Version("a", 1).state(), VersionState::kReady);
}

TEST_F(LoaderTest, WarmsUpOnEveryWorkerBeforeItPublishes) {
  constexpr int kWorkers = 3;
  Mutex mutex;
  std::set<std::thread::id> threads;
  std::atomic<bool> published_early{false};
  FakeModel model([&](absl::Span<const Tensor> inputs) {
    MutexLock lock(mutex);
    threads.insert(std::this_thread::get_id());
    if (Version("a").state() != VersionState::kLoading) published_early = true;
    return FakeModel::Echo(inputs);
  });
  load_ = [&model](const VersionEntry&) { return model.Make(); };
  // Loading begins only when the catalog is in its place.
  model.Block();
  Start({Entry("a", {1})}, kWorkers);
  model.Release();
  AwaitTold(1);
  loader_.reset();
  EXPECT_EQ(threads.size(), kWorkers);
  EXPECT_FALSE(published_early);
  // On each worker three times 1, 2 and 4 rows; then, on one, what shows whether answers are the request's own.
  EXPECT_EQ(model.batch_rows().size(), kWorkers * 9U + 6U);
  End();
}

TEST_F(LoaderTest, CompiledModelThatIsNotCheapIsWarmedUpOnceInEachSize) {
  FakeModel model([this](absl::Span<const Tensor> inputs) {
    clock_.Advance(std::chrono::milliseconds(1));
    return FakeModel::Echo(inputs);
  });
  load_ = [&model](const VersionEntry&) { return model.Make(); };
  ModelEntry entry = Entry("a", {1});
  entry.versions[0].backend = &kFakePackages;
  Start({entry});
  AwaitTold(1);
  loader_.reset();
  const std::vector<int64_t> runs = model.batch_rows();
  EXPECT_EQ(std::vector<int64_t>(runs.begin(), runs.begin() + 3), (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(runs.size(), 3U + 6U) << "those that show whether answers are the request's own";
  End();
}

TEST_F(LoaderTest, ModelWhoseAnswersAreNotTheRequestsOwnIsReadyWithANoteAndWithoutACache) {
  std::atomic<int> runs = 0;
  FakeModel counts([&](absl::Span<const Tensor> inputs) {
    return std::vector<Tensor>{Floats(inputs[0].shape(), std::vector<float>(inputs[0].elements(), ++runs))};
  });
  load_ = [&](const VersionEntry& version) { return version.version == 2 ? counts.Make() : model_.Make(); };
  ModelEntry cached = Entry("a", {2, 1});
  cached.config.response_cache_bytes = 1 << 20;
  make_cache_ = [this](const std::string&, const ModelConfig&, int64_t) {
    return std::make_shared<ResponseCache>(ResponseCache::Options{.capacity_bytes = 1 << 20}, clock_);
  };
  Start({cached});
  AwaitTold(2);
  loader_.reset();
  EXPECT_EQ(told_["a/2"].first, VersionState::kReady);
  EXPECT_EQ(reports_["a/2"].note,
            "the same request gets different answers: they depend on chance, or on what ran before; "
            "one batch runs at a time; response_cache_bytes is not used");
  EXPECT_EQ(Version("a").cache(), nullptr);
  EXPECT_EQ(reports_["a/1"].note, "");
  EXPECT_NE(Version("a", 1).cache(), nullptr);
  End();
}

TEST_F(LoaderTest, ModelWhoseAnswersDependOnWhatRanBeforeRunsOneBatchAtATime) {
  std::atomic<int> runs = 0;
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  FakeModel counts([&](absl::Span<const Tensor> inputs) {
    most = std::max(most.load(), ++running);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    --running;
    return std::vector<Tensor>{Floats(inputs[0].shape(), std::vector<float>(inputs[0].elements(), ++runs))};
  });
  load_ = [&](const VersionEntry&) { return counts.Make(); };
  Start({Entry("a", {1})}, 3);
  AwaitTold(1);
  loader_.reset();
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 24; ++i) calls.push_back(std::make_unique<PendingInference>(*Version("a").runner(), OneRow(1)));
  for (const auto& call : calls) EXPECT_TRUE(call->Await().ok());
  EXPECT_EQ(most, 1);
  End();
}

TEST_F(LoaderTest, StoppingEndsAWarmUpBetweenTwoRuns) {
  model_.Block();
  Start({Entry("a", {1}), Entry("b", {1})});
  model_.AwaitRuns(1);
  EXPECT_FALSE(loader_->StopBy(std::chrono::steady_clock::now())) << "a run cannot be ended";
  model_.Release();
  EXPECT_TRUE(loader_->StopBy(kNever));
  EXPECT_EQ(model_.batch_rows(), std::vector<int64_t>{1});
  EXPECT_EQ(Version("a").state(), VersionState::kLoading);
  EXPECT_EQ(Version("b").state(), VersionState::kLoading);
  EXPECT_TRUE(order_.empty()) << "nobody is told of what was only stopped";
}

TEST_F(LoaderTest, SaysIfTheLargestBatchWasLeftOut) {
  FakeModel model([this](absl::Span<const Tensor> inputs) {
    clock_.Advance(std::chrono::seconds(6 * inputs[0].shape()[0]));
    return FakeModel::Echo(inputs);
  });
  load_ = [&model](const VersionEntry&) { return model.Make(); };
  Start({Entry("a", {1})});
  AwaitTold(1);
  loader_.reset();
  EXPECT_EQ(Version("a").state(), VersionState::kReady);
  EXPECT_EQ(reports_["a/1"].note, "its largest batches have not been run yet: the warm-up would have taken too long");
  End();
}

TEST_F(LoaderTest, LoadingThatThrowsFailsThatVersionAlone) {
  load_ = [this](const VersionEntry& version) -> absl::StatusOr<std::unique_ptr<Model>> {
    if (version.version == 2) throw std::bad_alloc();
    return model_.Make();
  };
  Start({Entry("a", {2, 1})});
  AwaitTold(2);
  EXPECT_EQ(told_["a/2"].second.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(told_["a/1"].first, VersionState::kReady);
}

TEST_F(LoaderTest, WarmUpCanBeSwitchedOff) {
  Start({Entry("a", {1}, /*warmup=*/false)});
  AwaitTold(1);
  loader_.reset();
  EXPECT_EQ(Version("a").state(), VersionState::kReady);
  EXPECT_TRUE(model_.batch_rows().empty());
}

TEST_F(LoaderTest, VersionWhoseWarmUpFailsIsNotServed) {
  FakeModel model([](absl::Span<const Tensor>) -> absl::StatusOr<std::vector<Tensor>> {
    return absl::InternalError("no such operator");
  });
  load_ = [&model](const VersionEntry&) { return model.Make(); };
  Start({Entry("a", {1})}, /*workers=*/2);
  AwaitTold(1);
  loader_.reset();
  EXPECT_EQ(Version("a").state(), VersionState::kFailed);
  EXPECT_EQ(told_["a/1"].second.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(told_["a/1"].second.message(),
            "warm-up failed: no such operator; it runs on zeros, so if the model wants something else, say so with "
            "[[warmup_samples]] in model.toml, or skip it with warmup = false");
  EXPECT_EQ(model.batch_rows().size(), 4U) << "one for each open extent, and none on the other worker";
  End();
  EXPECT_TRUE(model.destroyed());
}

TEST_F(LoaderTest, SaysWhatTheWarmUpRan) {
  FakeModel model([this](absl::Span<const Tensor> inputs) {
    clock_.Advance(std::chrono::microseconds(1500 * inputs[0].shape()[0]));
    return FakeModel::Echo(inputs);
  });
  load_ = [&model](const VersionEntry&) { return model.Make(); };
  Start({Entry("a", {1})}, /*workers=*/2);
  AwaitTold(1);
  loader_.reset();
  EXPECT_EQ(reports_["a/1"].warm_up, "1 row 1.5 ms, 2 rows 3 ms, 4 rows 6 ms");
  EXPECT_EQ(reports_["a/1"].most_rows, 4);
  End();
}

TEST_F(LoaderTest, ModelWithTooLittleMemoryForItsLargestBatchIsServedWithSmallerOnes) {
  FakeModel model([](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    if (inputs[0].shape()[0] > 2) throw std::bad_alloc();
    return FakeModel::Echo(inputs);
  });
  load_ = [&model](const VersionEntry&) { return model.Make(); };
  Start({Entry("a", {1})}, /*workers=*/2);
  AwaitTold(1);
  loader_.reset();
  EXPECT_EQ(Version("a").state(), VersionState::kReady);
  EXPECT_EQ(reports_["a/1"].most_rows, 2);
  EXPECT_EQ(reports_["a/1"].shortage, "4 rows: the server has no memory for the request now");
  EXPECT_EQ(Version("a").runner()->signature().max_batch_size, 2);
  End();
}

TEST_F(LoaderTest, CallersSeeWhatThereIsNoMemoryFor) {
  load_ = [](const VersionEntry&) -> absl::StatusOr<std::unique_ptr<Model>> {
    return absl::ResourceExhaustedError("it takes 5 GiB, and 1 GiB is left");
  };
  Start({Entry("a", {1})});
  AwaitTold(1);
  loader_.reset();
  EXPECT_EQ(Version("a").reason(), "it takes 5 GiB, and 1 GiB is left");
}

TEST_F(LoaderTest, ModelIsServedWhileAnotherOneStillLoads) {
  std::latch release(1);
  load_ = [this, &release, loads = std::make_shared<int>(0)](const VersionEntry&) {
    if (++*loads == 2) release.wait();
    return model_.Make();
  };
  Start({Entry("a", {1}), Entry("b", {1})});
  AwaitTold(1);
  const PendingInference call(*Version("a").runner(), OneRow(1));
  EXPECT_TRUE(call.Await().ok());
  EXPECT_EQ(Version("b").state(), VersionState::kLoading);
  release.count_down();
  AwaitTold(2);
  loader_.reset();
  pool_->Stop();
}

TEST_F(LoaderTest, DestructorFinishesTheVersionThatIsBeingReadAndLeavesTheRestAlone) {
  constexpr int64_t kVersions = 1000;
  std::latch reading(1);
  std::latch release(1);
  load_ = [&, first = std::make_shared<bool>(true)](const VersionEntry&) {
    if (std::exchange(*first, false)) {
      reading.count_down();
      release.wait();
    } else {
      // Loading all would take a second: the destructor has that long to begin.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return model_.Make();
  };
  std::vector<int64_t> versions;
  for (int64_t version = kVersions; version > 0; --version) versions.push_back(version);
  Start({Entry("a", versions, /*warmup=*/false)});
  reading.wait();
  release.count_down();
  loader_.reset();
  EXPECT_EQ(Version("a", 0).state(), VersionState::kReady);
  EXPECT_EQ(Version("a", kVersions - 1).state(), VersionState::kLoading);
  const auto models = catalog_->snapshot();
  const auto& all = models->models().at("a")->versions();
  const auto ready = std::count_if(all.begin(), all.end(),
                                   [](const auto& version) { return version->state() == VersionState::kReady; });
  EXPECT_EQ(static_cast<size_t>(ready), order_.size()) << "each that was loaded was reported";
}

TEST_F(LoaderTest, EmptyCatalogIsThroughAtOnce) {
  Start({});
  loader_.reset();
  EXPECT_TRUE(order_.empty());
}

}  // namespace
}  // namespace predictd
