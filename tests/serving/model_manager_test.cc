#include "server/serving/model_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/serving/runner_loading.h"
#include "tests/engine/runner_fixture.h"
#include "tests/fakes/doubling_backend.h"
#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;

const Backend kBackends[] = {kDoubling};
constexpr milliseconds kSettle(200);

// Notes what it is told, as "ready m/1", "failed m/2: why", "changed m", "wrong m: why", "retired m/1", "removed m" and
// "repository: why".
class Recorder final : public ModelObserver {
 public:
  void OnLoaded(const ServedVersion& version, const absl::Status& status, const LoadFindings& /*findings*/) override {
    Note(status.ok() ? absl::StrCat("ready ", Name(version))
                     : absl::StrCat("failed ", Name(version), ": ", status.message()));
  }
  void OnChanged(const ServedModel& model) override {
    Note(model.status().ok() ? absl::StrCat("changed ", model.name())
                             : absl::StrCat("wrong ", model.name(), ": ", model.status().message()));
  }
  void OnRetired(const ServedVersion& version) override { Note(absl::StrCat("retired ", Name(version))); }
  void OnUnloaded(const ServedModel& model) override { Note(absl::StrCat("unloaded ", model.name())); }
  void OnWaking(const ServedModel& model) override { Note(absl::StrCat("waking ", model.name())); }
  void OnTraffic(const ServedModel& model, const std::string& why) override {
    Note(absl::StrCat(why.empty() ? "traffic " : "rolled back ", model.name()));
  }
  void OnRemoved(const std::string& model) override { Note(absl::StrCat("removed ", model)); }
  void OnRepository(const absl::Status& status) override {
    Note(absl::StrCat("repository: ", status.ok() ? "ok" : status.message()));
  }

  // Returns what has been noted since the last call.
  std::vector<std::string> Take() {
    const MutexLock lock(mutex_);
    return std::exchange(notes_, {});
  }
  // Waits until something has been noted that begins like that, and returns all as Take does.
  std::vector<std::string> TakeUntil(const std::string& begin) {
    MutexLock lock(mutex_);
    const TimePoint until = steady_clock::now() + std::chrono::seconds(20);
    while (std::none_of(notes_.begin(), notes_.end(), [&](const auto& note) { return note.starts_with(begin); })) {
      if (steady_clock::now() >= until) {
        ADD_FAILURE() << "nothing like '" << begin << "' among " << testing::PrintToString(notes_);
        break;
      }
      changed_.WaitUntil(mutex_, until);
    }
    return std::exchange(notes_, {});
  }

 private:
  static std::string Name(const ServedVersion& version) { return absl::StrCat(version.model(), "/", version.number()); }
  void Note(std::string note) {
    const MutexLock lock(mutex_);
    notes_.push_back(std::move(note));
    changed_.NotifyAll();
  }

  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> notes_ ABSL_GUARDED_BY(mutex_);
};

// A repository that a manager follows.
class ModelManagerTest : public testing::Test {
 protected:
  void TearDown() override {
    manager_.reset();
    pool_.Stop();
  }

  void TellToDo(ModelCommand::Kind kind, const std::string& model, std::optional<TrafficSplit> traffic = std::nullopt) {
    const auto added = catalog_->commands().Add({.kind = kind, .model = model, .traffic = std::move(traffic)});
    ASSERT_TRUE(added.ok()) << added.status();
    told_ = *added;
  }
  // The outcome of what was told last.
  absl::Status Outcome() {
    EXPECT_TRUE(Eventually([&] { return told_->outcome().has_value(); }));
    return told_->outcome().value_or(absl::DeadlineExceededError("no outcome"));
  }
  absl::Status Do(ModelCommand::Kind kind, const std::string& model = "m",
                  std::optional<TrafficSplit> traffic = std::nullopt) {
    TellToDo(kind, model, std::move(traffic));
    return Outcome();
  }

  void Start() {
    const absl::StatusOr<ModelRepository> repository = ScanRepository(root(), kBackends);
    ASSERT_TRUE(repository.ok()) << repository.status();
    catalog_ = std::make_unique<Catalog>(repository->models, reaper_, CatalogParts{.loaded = loaded_});
    manager_ = std::make_unique<ModelManager>(
        ModelManager::Options{.repository = root(),
                              .backends = kBackends,
                              .control = control_,
                              .interval = milliseconds(100),
                              .settle = kSettle,
                              .idle_unload = idle_unload_},
        repository->models, *catalog_,
        [this](ServedVersion& version, const std::atomic<bool>& stopping,
               LoadFindings& findings) -> absl::StatusOr<Servable> {
          before_load_(version);
          return LoadRunner(version, resources_, stopping, findings);
        },
        observer_, reaper_);
  }

  fs::path root() const { return folder_.path() / "models"; }
  void Write(const std::string& name, const std::string& content) const { folder_.Write("models/" + name, content); }
  // A model that multiplies by 2 to the power of `times`.
  void WriteVersion(const std::string& version, int times) const {
    // It is put into its place at once, as with a copy beside it.
    folder_.Write("copy/model.double", absl::StrCat(times));
    fs::create_directories((root() / version).parent_path());
    fs::rename(folder_.path() / "copy", root() / version);
  }

  std::shared_ptr<const ServedVersion> Choose(int64_t version = 0) const {
    const auto model = catalog_->snapshot()->Find("m");
    if (!model.ok()) return nullptr;
    return (*model)->Choose(version).value_or(nullptr);
  }
  // What 1 becomes; 0 if there is nobody to ask.
  float Answer(int64_t version = 0) const {
    const auto chosen = Choose(version);
    if (chosen == nullptr) return 0;
    const PendingInference call(*chosen->runner(), OneRow(1));
    return call.Await().ok() ? Values(call.Await()->outputs[0])[0] : -1;
  }
  // The versions that the catalog shows, as "2 ready, 1 draining".
  std::string Shown() const {
    std::string shown;
    const std::shared_ptr<const CatalogSnapshot> models = catalog_->snapshot();
    for (const auto& version : models->models().at("m")->versions()) {
      const char* const kStates[] = {"loading", "ready", "draining", "unloaded", "failed"};
      absl::StrAppend(&shown, shown.empty() ? "" : ", ", version->number(), " ",
                      kStates[static_cast<int>(version->state())]);
    }
    return shown;
  }
  static bool Eventually(const std::function<bool()>& holds) {
    for (const TimePoint until = steady_clock::now() + std::chrono::seconds(20); steady_clock::now() < until;) {
      if (holds()) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }

  const TempFolder folder_;
  const ManualClock clock_;
  MemoryPlan memory_{int64_t{1} << 40, 0};
  WorkerPool pool_{{.workers = 2}};
  Reaper reaper_;
  const RunnerResources resources_ = {
      .pool = pool_, .reaper = reaper_, .clock = clock_, .memory = memory_, .load = [](const ServedVersion& version) {
        return version.entry().backend->load(version.entry().file, version.config(), {});
      }};
  std::function<void(const ServedVersion&)> before_load_ = [](const ServedVersion&) {};
  Duration idle_unload_ = Duration::zero();
  ModelControl control_ = ModelControl::kRepository;
  std::function<bool(const std::string&)> loaded_ = nullptr;
  Recorder observer_;
  std::shared_ptr<PendingCommand> told_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<ModelManager> manager_;
};

// A repository with version 1 of the model "m", which is ready.
class RunningModelManagerTest : public ModelManagerTest {
 protected:
  void SetUp() override {
    Write("m/model.toml", kDoublingConfig);
    WriteVersion("m/1", 1);
    Start();
    observer_.TakeUntil("ready m/1");
  }
};

TEST_F(RunningModelManagerTest, NewVersionTakesOverWhenItIsReadyAndTheLastOneEndsWithItsCalls) {
  auto call = Choose();
  std::promise<void> may_load;
  before_load_ = [loads = may_load.get_future().share()](const ServedVersion&) { loads.wait(); };
  WriteVersion("m/2", 2);
  observer_.TakeUntil("changed m");
  EXPECT_EQ(Shown(), "2 loading, 1 ready");
  EXPECT_EQ(Answer(), 2);
  may_load.set_value();
  observer_.TakeUntil("retired m/1");
  EXPECT_EQ(Answer(), 4);
  EXPECT_EQ(Shown(), "2 ready, 1 draining");
  const PendingInference late(*call->runner(), OneRow(1));
  EXPECT_EQ(Values(late.Await()->outputs[0]), std::vector<float>{2}) << "a call that has version 1 already";
  call = nullptr;
  EXPECT_TRUE(Eventually([&] { return Shown() == "2 ready"; })) << Shown();
}

TEST_F(RunningModelManagerTest, VersionThatCannotBeLoadedLeavesTheLastOneServing) {
  Write("m/2/model.double", "much");
  observer_.TakeUntil("failed m/2: the file holds no number");
  EXPECT_EQ(Shown(), "2 failed, 1 ready");
  EXPECT_EQ(Answer(), 2);
  fs::remove_all(root() / "m/2");
  WriteVersion("m/2", 3);
  observer_.TakeUntil("retired m/1");
  EXPECT_EQ(Answer(), 8);
}

TEST_F(RunningModelManagerTest, WrongConfigurationChangesNothingUntilItIsRight) {
  Write("m/model.toml", "max_batch_size = -1\n");
  observer_.TakeUntil("wrong m: model.toml");
  EXPECT_EQ(Answer(), 2);
  EXPECT_FALSE(catalog_->snapshot()->models().at("m")->status().ok());
  WriteVersion("m/2", 2);
  observer_.TakeUntil("wrong m");
  EXPECT_EQ(Shown(), "1 ready") << "nobody knows whether version 2 is wanted";
  Write("m/model.toml", kDoublingConfig);
  observer_.TakeUntil("retired m/1");
  EXPECT_EQ(Answer(), 4);
  EXPECT_TRUE(catalog_->snapshot()->models().at("m")->status().ok());
}

TEST_F(RunningModelManagerTest, ChangedConfigurationMakesNewVersionsOfTheSameFiles) {
  const auto old = Choose();
  Write("m/model.toml", absl::StrCat(kDoublingConfig, "description = 'new'\n"));
  observer_.TakeUntil("retired m/1");
  EXPECT_EQ(Shown(), "1 ready");
  EXPECT_NE(Choose(), old);
  EXPECT_EQ(Choose()->config().description, "new");
  EXPECT_EQ(old->config().description, "");
}

TEST_F(RunningModelManagerTest, LabelMovesWithoutLoadingAnything) {
  const auto label = [this](const std::string& name) {
    const auto chosen = (*catalog_->snapshot()->Find("m"))->Choose(name);
    return chosen.ok() ? absl::StrCat((*chosen)->number()) : std::string(chosen.status().message());
  };
  Write("m/model.toml", absl::StrCat(kDoublingConfig, "labels = {stable = 1}\n"));
  EXPECT_THAT(observer_.TakeUntil("changed m"), ElementsAre("changed m"));
  WriteVersion("m/2", 2);
  observer_.TakeUntil("ready m/2");
  EXPECT_EQ(Shown(), "2 ready, 1 ready") << "what has a label is not retired";
  EXPECT_EQ(label("stable"), "1");
  EXPECT_EQ(label("canary"), "model 'm' has no label 'canary'; there is stable");
  Write("m/model.toml", absl::StrCat(kDoublingConfig, "labels = {stable = 2}\n"));
  EXPECT_THAT(observer_.TakeUntil("retired m/1"), ElementsAre("changed m", "retired m/1"));
  EXPECT_EQ(label("stable"), "2");
}

TEST_F(RunningModelManagerTest, LabelStaysUntilTheVersionThatItMovesToIsReady) {
  const auto label = [this] {
    const auto chosen = (*catalog_->snapshot()->Find("m"))->Choose("stable");
    return chosen.ok() ? (*chosen)->number() : 0;
  };
  Write("m/model.toml", absl::StrCat(kDoublingConfig, "labels = {stable = 1}\n"));
  observer_.TakeUntil("changed m");
  Write("m/2/model.double", "x");
  Write("m/model.toml", absl::StrCat(kDoublingConfig, "labels = {stable = 2}\n"));
  observer_.TakeUntil("failed m/2");
  EXPECT_EQ(label(), 1) << "version 2 cannot be loaded";
  Write("m/2/model.double", "2");
  observer_.TakeUntil("retired m/1");
  EXPECT_EQ(label(), 2);
}

TEST_F(RunningModelManagerTest, FolderWithoutItsConfigurationIsNotGone) {
  fs::rename(root() / "m/model.toml", folder_.path() / "away");
  observer_.TakeUntil("wrong m");
  EXPECT_EQ(Answer(), 2);
  fs::rename(root() / "m/1", folder_.path() / "1");
  observer_.TakeUntil("wrong m");
  EXPECT_EQ(Answer(), 2) << "as on an empty mount point";
  fs::remove(root() / "m");
  observer_.TakeUntil("removed m");
}

TEST_F(RunningModelManagerTest, ModelThatGoesAfterAReloadIsRemoved) {
  manager_->Reload();
  observer_.TakeUntil("changed m");
  manager_->Reload();
  fs::remove_all(root() / "m");
  observer_.TakeUntil("removed m");
}

TEST_F(RunningModelManagerTest, VersionWhoseFilesChangeWhileTheyAreReadIsReadAgain) {
  std::atomic<bool> first{true};
  before_load_ = [&](const ServedVersion&) {
    if (first.exchange(false)) Write("m/2/other", "comes late");
  };
  WriteVersion("m/2", 2);
  observer_.TakeUntil("failed m/2: the files have changed while they were read");
  observer_.TakeUntil("retired m/1");
  EXPECT_EQ(Answer(), 4);
}

TEST_F(RunningModelManagerTest, FilesBesideTheVersionsDoNotMatter) {
  Write("m/notes.txt", "x");
  Write("m/.model.toml.swp", "x");
  Write("m/1/.model.double.swp", "x");
  Write("m/model.toml~", "x");
  std::this_thread::sleep_for(4 * kSettle);
  EXPECT_TRUE(observer_.Take().empty());
}

TEST_F(RunningModelManagerTest, ChangedFileReplacesItsVersionAlsoIfTheChangeIsBadAtFirst) {
  Write("m/1/model.double", "x");
  observer_.TakeUntil("failed m/1");
  EXPECT_EQ(Shown(), "1 failed, 1 ready");
  EXPECT_EQ(Answer(), 2);
  EXPECT_EQ(Answer(1), 2);
  Write("m/1/model.double", "4");
  observer_.TakeUntil("retired m/1");
  EXPECT_EQ(Shown(), "1 ready");
  EXPECT_EQ(Answer(1), 16);
}

TEST_F(RunningModelManagerTest, OldVersionComesBackWhenTheNewOneIsTakenAway) {
  WriteVersion("m/2", 2);
  observer_.TakeUntil("retired m/1");
  fs::rename(root() / "m/2", folder_.path() / "away");
  observer_.TakeUntil("retired m/2");
  EXPECT_EQ(Answer(), 2);
}

TEST_F(RunningModelManagerTest, ModelsComeAndGo) {
  Write("n/model.toml", kDoublingConfig);
  WriteVersion("n/1", 1);
  observer_.TakeUntil("ready n/1");
  const auto kept = Choose();
  fs::remove_all(root() / "m");
  observer_.TakeUntil("removed m");
  EXPECT_EQ(Choose(), nullptr);
  const PendingInference late(*kept->runner(), OneRow(1));
  EXPECT_EQ(Values(late.Await()->outputs[0]), std::vector<float>{2});
  EXPECT_TRUE(catalog_->snapshot()->Find("n").ok());
}

TEST_F(RunningModelManagerTest, FolderIsNotReadWhileItIsStillBeingCopied) {
  std::atomic<int> loads{0};
  before_load_ = [&loads](const ServedVersion&) { ++loads; };
  // Slower than the looks, faster than what counts as still.
  for (int i = 0; i < 12; ++i) {
    Write("m/2/model.double", std::string(static_cast<size_t>(i), ' '));
    std::this_thread::sleep_for(kSettle / 4);
  }
  EXPECT_THAT(observer_.Take(), Not(Contains("changed m")));
  Write("m/2/model.double", "3");
  observer_.TakeUntil("retired m/1");
  EXPECT_EQ(loads, 1);
  EXPECT_EQ(Answer(), 8);
}

TEST_F(RunningModelManagerTest, ModelsStayWhenTheRepositoryCannotBeRead) {
  fs::rename(root(), folder_.path() / "away");
  observer_.TakeUntil("repository: ");
  std::this_thread::sleep_for(2 * kSettle);
  EXPECT_EQ(Answer(), 2);
  fs::rename(folder_.path() / "away", root());
  EXPECT_THAT(observer_.TakeUntil("repository: ok"), ElementsAre("repository: ok"));
  EXPECT_EQ(Answer(), 2);
}

TEST_F(RunningModelManagerTest, ReloadTriesAgainWhatCouldNotBeLoaded) {
  std::atomic<bool> works{false};
  before_load_ = [&works](const ServedVersion&) {
    if (!works) throw std::bad_alloc();
  };
  WriteVersion("m/2", 2);
  observer_.TakeUntil("failed m/2");
  works = true;
  manager_->Reload();
  observer_.TakeUntil("retired m/1");
  EXPECT_EQ(Answer(), 4);
}

TEST_F(RunningModelManagerTest, VersionThatHasChangedBeforeItsTurnIsNotLoaded) {
  std::promise<void> may_load;
  std::atomic<int> loads{0};
  before_load_ = [&loads, go = may_load.get_future().share()](const ServedVersion&) {
    ++loads;
    go.wait();
  };
  Write("m/model.toml", absl::StrCat(kDoublingConfig, "version_policy = 'all'\n"));
  observer_.TakeUntil("changed m");
  for (int times = 2; times < 5; ++times) {
    fs::remove_all(root() / "m/2");
    WriteVersion("m/2", times);
    observer_.TakeUntil("changed m");
  }
  may_load.set_value();
  ASSERT_TRUE(Eventually([&] { return Shown() == "2 ready, 1 ready"; })) << Shown();
  EXPECT_EQ(Answer(), 16);
  EXPECT_EQ(loads, 2) << "version 1 and the last version 2";
}

TEST_F(RunningModelManagerTest, NoCallFailsWhileVersionsChange) {
  std::atomic<bool> ends{false};
  std::atomic<int> wrong{0};
  std::atomic<int> answers{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      while (!ends) {
        const auto version = Choose();
        if (version == nullptr) {
          ++wrong;
          continue;
        }
        const PendingInference call(*version->runner(), OneRow(1));
        const bool right = call.Await().ok() &&
                           Values(call.Await()->outputs[0])[0] == static_cast<float>(1 << (version->number() % 8));
        ++(right ? answers : wrong);
      }
    });
  }
  for (int version = 2; version <= 12; ++version) {
    WriteVersion(absl::StrCat("m/", version), version % 8);
    observer_.TakeUntil(absl::StrCat("retired m/", version - 1));
    fs::remove_all(root() / absl::StrCat("m/", version - 1));
  }
  ends = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(answers, 100);
  EXPECT_TRUE(Eventually([&] { return Shown() == "12 ready"; })) << Shown();
}

TEST_F(ModelManagerTest, RepositoryMayBeEmptyAtFirst) {
  fs::create_directories(root());
  Start();
  Write("m/model.toml", kDoublingConfig);
  WriteVersion("m/1", 1);
  observer_.TakeUntil("ready m/1");
  EXPECT_EQ(Answer(), 2);
}

using Kind = ModelCommand::Kind;

TrafficSplit Split(std::vector<TrafficShare> shares) {
  return {.shares = std::move(shares), .shadow = "", .shadow_fraction = 0, .rollback = std::nullopt};
}

// The same, but commands say what is served.
class CommandedModelManagerTest : public ModelManagerTest {
 protected:
  void SetUp() override {
    Write("m/model.toml", kDoublingConfig);
    WriteVersion("m/1", 1);
    control_ = ModelControl::kCommands;
    loaded_ = [](const std::string&) { return false; };
    Start();
  }
};

TEST_F(CommandedModelManagerTest, ModelIsLoadedUnloadedAndLoadedAgain) {
  EXPECT_EQ(Shown(), "1 unloaded");
  EXPECT_FALSE(catalog_->snapshot()->loading());
  EXPECT_EQ((*catalog_->snapshot()->Find("m"))->Choose(0).status().message(), "model 'm' is not loaded");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Do(Kind::kLoad), absl::OkStatus());
    EXPECT_EQ(Shown(), "1 ready");
    EXPECT_EQ(Answer(), 2);
    EXPECT_EQ(Do(Kind::kUnload), absl::OkStatus());
    EXPECT_EQ(Answer(), 0);
    EXPECT_TRUE(Eventually([&] { return Shown() == "1 unloaded"; })) << Shown();
  }
  EXPECT_THAT(observer_.Take(), testing::IsSupersetOf({"ready m/1", "retired m/1", "unloaded m"}));
}

TEST_F(CommandedModelManagerTest, NothingIsLoadedThatNoCommandNames) {
  ASSERT_EQ(Do(Kind::kLoad), absl::OkStatus());
  WriteVersion("m/2", 2);
  std::this_thread::sleep_for(2 * kSettle);
  EXPECT_EQ(Shown(), "1 ready");
  EXPECT_EQ(Do(Kind::kLoad), absl::OkStatus());
  EXPECT_EQ(Answer(), 4);
  EXPECT_TRUE(Eventually([&] { return Shown() == "2 ready"; })) << Shown();
}

TEST_F(CommandedModelManagerTest, CallsThatHaveAnUnloadedVersionGoOn) {
  ASSERT_EQ(Do(Kind::kLoad), absl::OkStatus());
  auto call = Choose();
  ASSERT_EQ(Do(Kind::kUnload), absl::OkStatus());
  EXPECT_EQ(Shown(), "1 draining");
  const PendingInference late(*call->runner(), OneRow(1));
  EXPECT_EQ(Values(late.Await()->outputs[0]), std::vector<float>{2});
  call = nullptr;
  EXPECT_TRUE(Eventually([&] { return Shown() == "1 unloaded"; })) << Shown();
}

TEST_F(CommandedModelManagerTest, WhatCannotBeLoadedIsTheOutcomeAndWhatServesGoesOn) {
  ASSERT_EQ(Do(Kind::kLoad), absl::OkStatus());
  Write("m/2/model.double", "not a number");
  const absl::Status broken = Do(Kind::kLoad);
  EXPECT_EQ(broken.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(broken.message()), testing::StartsWith("version 2 of model 'm' could not be loaded: "));
  EXPECT_EQ(Answer(), 2);
  Write("m/model.toml", "nonsense");
  const absl::Status wrong = Do(Kind::kLoad);
  EXPECT_EQ(wrong.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(wrong.message()), testing::StartsWith("model 'm' has no valid configuration: "));
  EXPECT_EQ(Answer(), 2);
  for (const char* const name : {"x", "", ".", "..", "../models/m", "m/1", "/etc"}) {
    EXPECT_EQ(Do(Kind::kLoad, name).code(), absl::StatusCode::kNotFound) << name;
    EXPECT_EQ(Do(Kind::kUnload, name).code(), absl::StatusCode::kNotFound) << name;
  }
}

TEST_F(CommandedModelManagerTest, ModelThatIsUnloadedWhileItIsLoadedIsNotServed) {
  std::promise<void> may_load;
  std::promise<void> loads;
  before_load_ = [&loads, waits = may_load.get_future().share()](const ServedVersion&) {
    loads.set_value();
    waits.wait();
  };
  TellToDo(Kind::kLoad, "m");
  loads.get_future().wait();
  const std::shared_ptr<PendingCommand> load = told_;
  EXPECT_EQ(Do(Kind::kUnload), absl::OkStatus());
  may_load.set_value();
  EXPECT_EQ(Shown(), "1 unloaded");
  EXPECT_TRUE(Eventually([&] { return load->outcome().has_value(); }));
  EXPECT_EQ(load->outcome(), absl::AbortedError("model 'm' has been unloaded"));
  EXPECT_EQ(Answer(), 0);
}

TEST_F(CommandedModelManagerTest, UnloadedModelIsNotReloaded) {
  EXPECT_EQ(Do(Kind::kReload), absl::FailedPreconditionError("model 'm' is not loaded"));
}

TEST_F(RunningModelManagerTest, ReloadedModelIsAnotherOneThoughNothingHasChanged) {
  const ServedVersion* const before = Choose().get();
  EXPECT_EQ(Do(Kind::kReload), absl::OkStatus());
  EXPECT_NE(Choose().get(), before);
  EXPECT_EQ(Answer(), 2);
  EXPECT_TRUE(Eventually([&] { return Shown() == "1 ready"; })) << Shown();
}

TEST_F(RunningModelManagerTest, FoldersSayWhatIsServedUnlessCommandsDo) {
  EXPECT_EQ(Do(Kind::kLoad).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Do(Kind::kUnload).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Answer(), 2);
}

// The model "m" is unloaded after a second without requests.
class IdleModelTest : public ModelManagerTest {
 protected:
  void SetUp() override {
    Write("m/model.toml", kDoublingConfig);
    WriteVersion("m/1", 1);
    idle_unload_ = std::chrono::seconds(1);
    Start();
    observer_.TakeUntil("ready m/1");
  }
  std::shared_ptr<const ServedModel> model() const { return *catalog_->snapshot()->Find("m"); }
};

TEST_F(IdleModelTest, ModelSleepsWhenNobodyUsesItAndWakesForARequest) {
  for (int i = 0; i < 2; ++i) {
    observer_.TakeUntil("unloaded m");
    EXPECT_TRUE(Eventually([&] { return Shown() == "1 unloaded"; })) << Shown();
    EXPECT_TRUE(model()->asleep());
    EXPECT_TRUE(model()->serving());
    EXPECT_EQ(Do(Kind::kWake), absl::OkStatus());
    EXPECT_EQ(Answer(), 2);
    EXPECT_FALSE(model()->asleep());
  }
}

TEST_F(IdleModelTest, ModelWakesWithWhatServedIt) {
  observer_.TakeUntil("unloaded m");
  std::promise<void> may_load;
  before_load_ = [loads = may_load.get_future().share()](const ServedVersion&) { loads.wait(); };
  TellToDo(Kind::kWake, "m");
  const std::shared_ptr<PendingCommand> first = told_;
  observer_.TakeUntil("waking m");
  EXPECT_EQ(Shown(), "1 loading");
  EXPECT_TRUE(model()->serving()) << "requests wait";
  TellToDo(Kind::kWake, "m");
  EXPECT_EQ(told_, first) << "all who wait get the same";
  may_load.set_value();
  EXPECT_EQ(Outcome(), absl::OkStatus());
  EXPECT_EQ(Answer(), 2);
}

TEST_F(IdleModelTest, ModelThatACallHasStaysAwake) {
  const auto call = Choose();
  std::this_thread::sleep_for(std::chrono::seconds(3));
  EXPECT_EQ(Shown(), "1 ready");
}

TEST_F(IdleModelTest, ModelThatIsUsedStaysAwake) {
  for (const TimePoint until = steady_clock::now() + std::chrono::seconds(3); steady_clock::now() < until;) {
    Choose()->NoteUse();
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_THAT(observer_.Take(), Not(Contains("unloaded m")));
  EXPECT_EQ(Shown(), "1 ready");
}

TEST_F(IdleModelTest, ConfigurationMayKeepAModelAwakeAndChangesWakeIt) {
  observer_.TakeUntil("unloaded m");
  Write("m/model.toml", absl::StrCat("idle_unload = \"0\"\n", kDoublingConfig));
  observer_.TakeUntil("ready m/1");
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_EQ(Shown(), "1 ready");
}

// Versions 2 and 1 of the model "m" are ready, and 2 is the newest.
class TrafficTest : public RunningModelManagerTest {
 protected:
  void SetUp() override {
    RunningModelManagerTest::SetUp();
    Write("m/model.toml", absl::StrCat("version_policy = \"all\"\n", kDoublingConfig));
    WriteVersion("m/2", 2);
    observer_.TakeUntil("ready m/2");
  }

  std::shared_ptr<const ServedModel> model() const { return *catalog_->snapshot()->Find("m"); }
  // The percentages of requests without a key that the versions get, as "2: 30, 1: 70".
  std::string Routed() const {
    std::map<int64_t, int, std::greater<>> counts;
    for (int i = 0; i < 1000; ++i) ++counts[(*model()->Route(""))->number()];
    for (auto& [version, count] : counts) count = (count + 5) / 10;
    return absl::StrJoin(counts, ", ", absl::PairFormatter(": "));
  }
  void Run(int64_t version, int requests) const {
    for (int i = 0; i < requests; ++i) Answer(version);
  }
};

TEST_F(TrafficTest, SplitHoldsUntilTheNextOne) {
  EXPECT_EQ(Routed(), "2: 100");
  EXPECT_EQ(Do(Kind::kSetTraffic, "m", Split({{"1", 70}, {"2", 30}})), absl::OkStatus());
  EXPECT_EQ(Routed(), "2: 30, 1: 70");
  EXPECT_FALSE(told_->previous().has_value());
  EXPECT_EQ((*model()->Choose(2))->number(), 2) << "whoever names a version gets it";
  EXPECT_EQ(Do(Kind::kSetTraffic, "m", Split({{"1", 1}})), absl::OkStatus());
  EXPECT_EQ(Routed(), "1: 100");
  EXPECT_EQ(told_->previous(), Split({{"1", 70}, {"2", 30}}));
  EXPECT_EQ(Do(Kind::kSetTraffic, "m"), absl::OkStatus());
  EXPECT_EQ(Routed(), "2: 100");
}

TEST_F(TrafficTest, SplitOfVersionsThatAreNotReadyIsRefused) {
  EXPECT_EQ(Do(Kind::kSetTraffic, "m", Split({{"1", 1}, {"3", 1}})).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Do(Kind::kSetTraffic, "m", Split({{"stable", 1}})).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Do(Kind::kSetTraffic, "x", Split({{"1", 1}})).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Routed(), "2: 100");
}

TEST_F(TrafficTest, SplitThatWasSetOutlivesAChangeAndKeepsItsVersions) {
  ASSERT_EQ(Do(Kind::kSetTraffic, "m", Split({{"1", 1}, {"2", 1}})), absl::OkStatus());
  Write("m/model.toml", absl::StrCat("version_policy = [2]\n", kDoublingConfig, "\n"));
  observer_.TakeUntil("changed m");
  EXPECT_EQ(Routed(), "2: 50, 1: 50");
  ASSERT_EQ(Do(Kind::kSetTraffic, "m"), absl::OkStatus());
  EXPECT_TRUE(Eventually([&] { return Shown() == "2 ready"; })) << Shown();
}

TEST_F(TrafficTest, SplitOfTheConfigurationHolds) {
  Write("m/model.toml",
        absl::StrCat("labels = {stable = 1}\ntraffic = {split = {stable = 9, 2 = 1}}\n", kDoublingConfig));
  observer_.TakeUntil("changed m");
  EXPECT_EQ(Routed(), "2: 10, 1: 90");
}

TEST_F(TrafficTest, VersionThatFailsMoreIsRolledBack) {
  TrafficSplit split = Split({{"1", 1}, {"2", 1}});
  split.rollback = {.stable = "1", .max_failure_excess = 0.2, .max_latency_ratio = 0, .min_requests = 10};
  Run(2, 20);
  ASSERT_EQ(Do(Kind::kSetTraffic, "m", split), absl::OkStatus());
  observer_.TakeUntil("traffic m");
  Run(1, 12);
  // Wrong inputs make the fake model fail, which is what counts.
  for (int i = 0; i < 12; ++i) {
    const PendingInference call(*Choose(2)->runner(), i % 2 == 0 ? OneRow(kDoublingFails) : OneRow(1));
    call.Await();
  }
  observer_.TakeUntil("rolled back m");
  EXPECT_EQ(Routed(), "1: 100");
}

TEST_F(TrafficTest, VersionThatIsAsGoodIsNotRolledBack) {
  TrafficSplit split = Split({{"1", 1}, {"2", 1}});
  split.rollback = {.stable = "1", .max_failure_excess = 0.2, .max_latency_ratio = 0, .min_requests = 10};
  ASSERT_EQ(Do(Kind::kSetTraffic, "m", split), absl::OkStatus());
  Run(1, 40);
  Run(2, 40);
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  EXPECT_THAT(observer_.Take(), Not(Contains(testing::StartsWith("rolled back"))));
}

}  // namespace
}  // namespace predictd
