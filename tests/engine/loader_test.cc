#include "server/engine/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/engine/runner_test.h"

namespace predictd {
namespace {

ModelEntry Entry(std::string name, const std::vector<int64_t>& versions, bool warmup = true) {
  ModelEntry entry;
  entry.name = std::move(name);
  entry.config.signature = FloatSignature(/*max_batch_size=*/4);
  entry.config.warmup = warmup;
  for (int64_t version : versions) entry.versions.push_back({version, Backend::kTorchScript, ""});
  return entry;
}

// Loads fake models; notes what the loader says.
class LoaderTest : public testing::Test {
 protected:
  void Start(std::vector<ModelEntry> entries, int workers = 1) {
    pool_ = std::make_unique<WorkerPool>(WorkerPool::Options{.workers = workers});
    catalog_ = std::make_unique<Catalog>(std::move(entries));
    loader_ = std::make_unique<Loader>(
        *catalog_, *pool_, [this](const VersionEntry& version, const ModelConfig&) { return load_(version); },
        [this](const ServedModel& model, const ServedVersion&, std::unique_ptr<Model> loaded) {
          return std::make_shared<ModelRunner>(std::move(loaded), model.config().signature, ModelRunner::Options{},
                                               *pool_, clock_);
        },
        [this](const ServedModel& model, const ServedVersion&, const std::atomic<bool>&) {
          return load_generator_(model);
        },
        [this](const ServedModel& model, const ServedVersion& version, const absl::Status& status,
               absl::string_view note) {
          MutexLock lock(mutex_);
          const std::string name = model.name() + "/" + std::to_string(version.entry().version);
          order_.push_back(name);
          told_[name] = {version.state(), status};
          notes_[name] = std::string(note);
          changed_.NotifyAll();
        });
  }

  // Waits until the loader is through with that many versions.
  void AwaitTold(size_t versions) {
    MutexLock lock(mutex_);
    while (order_.size() < versions) changed_.Wait(mutex_);
  }

  ServedVersion& Version(const std::string& model, size_t index = 0) {
    return *catalog_->models().at(model).versions()[index];
  }

  FakeModel model_;
  ManualClock clock_;
  std::function<absl::StatusOr<std::unique_ptr<Model>>(const VersionEntry&)> load_ = [this](const VersionEntry&) {
    return model_.Make();
  };
  // The engine knows generators by address only.
  std::function<absl::StatusOr<std::shared_ptr<Generator>>(const ServedModel&)> load_generator_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<Catalog> catalog_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> order_;
  std::map<std::string, std::pair<VersionState, absl::Status>> told_;
  std::map<std::string, std::string> notes_;
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
  EXPECT_FALSE(catalog_->loading());
  const PendingInference call(*Version("a").runner(), OneRow(5));
  EXPECT_EQ(Values(call.Await()->outputs[0]), std::vector<float>{5});
  pool_->Stop();
}

TEST_F(LoaderTest, GeneratorIsLoadedAsOne) {
  const auto somewhere = std::make_shared<int>(0);
  const std::shared_ptr<Generator> generator(somewhere, reinterpret_cast<Generator*>(somewhere.get()));
  load_generator_ = [&](const ServedModel& model) -> absl::StatusOr<std::shared_ptr<Generator>> {
    if (model.name() == "bad") return absl::InternalError("no tokenizer");
    return generator;
  };
  std::vector<ModelEntry> entries = {Entry("bad", {1}), Entry("good", {1})};
  for (ModelEntry& entry : entries) entry.config.generator = GeneratorConfig{};
  Start(std::move(entries));
  AwaitTold(2);
  EXPECT_EQ(Version("good").state(), VersionState::kReady);
  EXPECT_EQ(Version("good").generator(), generator);
  EXPECT_EQ(Version("good").runner(), nullptr);
  EXPECT_EQ(Version("bad").state(), VersionState::kFailed);
  EXPECT_EQ(told_["bad/1"].second, absl::InternalError("no tokenizer"));
}

TEST_F(LoaderTest, FailureIsReportedWithItsCauseWhichCallersDoNotSee) {
  load_ = [this](const VersionEntry& version) -> absl::StatusOr<std::unique_ptr<Model>> {
    if (version.version == 2) return absl::InternalError("cannot read /secret/path");
    return model_.Make();
  };
  Start({Entry("a", {2, 1})});
  AwaitTold(2);
  loader_.reset();
  EXPECT_EQ(told_["a/2"].first, VersionState::kFailed);
  EXPECT_EQ(told_["a/2"].second, absl::InternalError("cannot read /secret/path"));
  EXPECT_EQ(Version("a").reason(), "the cause is in the server's log");
  EXPECT_EQ(told_["a/1"].first, VersionState::kReady) << "the next one is loaded nevertheless";
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
  // On each worker three times 1, 2 and 4 rows.
  EXPECT_EQ(model.batch_rows().size(), kWorkers * 9U);
  pool_->Stop();
  catalog_.reset();
}

TEST_F(LoaderTest, CompiledModelThatIsNotCheapIsWarmedUpOnceInEachSize) {
  FakeModel model([this](absl::Span<const Tensor> inputs) {
    clock_.Advance(std::chrono::milliseconds(1));
    return FakeModel::Echo(inputs);
  });
  load_ = [&model](const VersionEntry&) { return model.Make(); };
  ModelEntry entry = Entry("a", {1});
  entry.versions[0].backend = Backend::kAotInductor;
  Start({entry});
  AwaitTold(1);
  loader_.reset();
  EXPECT_EQ(model.batch_rows(), (std::vector<int64_t>{1, 2, 4}));
  pool_->Stop();
  catalog_.reset();
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
  EXPECT_EQ(notes_["a/1"], "its largest batches would have taken the warm-up too long: nobody has run them yet");
  pool_->Stop();
  catalog_.reset();
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
            "warm-up on zeros failed (warmup = false in model.toml skips it): no such operator");
  EXPECT_EQ(model.batch_rows().size(), 1U) << "went on after the failure";
  EXPECT_TRUE(model.destroyed());
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
  const auto& all = catalog_->models().at("a").versions();
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
