#include "server/serving/catalog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/async/retry_advice.h"
#include "tests/engine/runner_fixture.h"
#include "tests/fakes/fake_backends.h"

namespace predictd {
namespace {

ModelEntry Entry(std::string name, const std::vector<int64_t>& versions) {
  ModelEntry entry;
  entry.name = std::move(name);
  for (int64_t version : versions) entry.versions.push_back({version, &kFakeScripts, ""});
  return entry;
}

// Takes a version that is ready out of service, as the model manager does.
void Retire(Catalog& catalog, const std::string& name, int64_t number) {
  ServedModel::Spec spec = catalog.snapshot()->models().at(name)->spec();
  for (std::shared_ptr<ServedVersion>& version : spec.versions) {
    if (version->number() == number) version = version->Retire();
  }
  catalog.Put(std::make_shared<const ServedModel>(std::move(spec)));
}

class CatalogTest : public testing::Test {
 protected:
  std::shared_ptr<const CatalogSnapshot> Models(const std::vector<ModelEntry>& entries) {
    return Catalog(entries, reaper_).snapshot();
  }

  Reaper reaper_;
};

using ServedModelTest = CatalogTest;

TEST_F(CatalogTest, FindsAModelByItsName) {
  const auto models = Models({Entry("digits", {1}), Entry("other", {1})});
  const auto found = models->Find("digits");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ((*found)->name(), "digits");
}

TEST_F(CatalogTest, UnknownModelIsNotFoundAndTheErrorNamesThoseThatExist) {
  EXPECT_EQ(Models({Entry("b", {1}), Entry("a", {1})})->Find("c").status(),
            absl::NotFoundError("there is no model 'c'; there is a, b"));
}

TEST_F(CatalogTest, ErrorListsTwentyModelsAtMost) {
  std::vector<ModelEntry> entries;
  for (int i = 10; i < 31; ++i) entries.push_back(Entry("m" + std::to_string(i), {1}));
  const std::string message(Models(entries)->Find("x").status().message());
  EXPECT_NE(message.find("m29, ..."), std::string::npos) << message;
  EXPECT_EQ(message.find("m30"), std::string::npos) << message;
}

TEST_F(CatalogTest, EmptyCatalogSaysThatThereIsNone) {
  const auto models = Models({});
  EXPECT_EQ(models->Find("x").status(), absl::NotFoundError("there is no model at all"));
  EXPECT_FALSE(models->loading());
}

TEST_F(CatalogTest, IsLoadingUntilEveryVersionIsThroughOrBroken) {
  const auto models = Models({Entry("a", {2, 1}), Entry("b", {1})});
  const ServedModel& a = *models->models().at("a");
  EXPECT_TRUE(models->loading());
  a.versions()[0]->SetFailed("x");
  a.versions()[1]->SetReady({});
  EXPECT_TRUE(models->loading());
  EXPECT_FALSE(a.loading());
  models->models().at("b")->versions()[0]->SetReady({});
  EXPECT_FALSE(models->loading());
}

TEST_F(CatalogTest, ReadersKeepTheirSnapshotWhileOthersSeeTheNewOne) {
  Catalog catalog({Entry("a", {1})}, reaper_);
  const auto before = catalog.snapshot();
  const auto after = Models({Entry("a", {2}), Entry("b", {1})});
  catalog.Put(after->models().at("a"));
  catalog.Put(after->models().at("b"));
  EXPECT_EQ(before->models().size(), 1U);
  EXPECT_EQ((*before->Find("a"))->versions()[0]->number(), 1);
  EXPECT_EQ(catalog.snapshot()->models().size(), 2U);
  EXPECT_EQ((*catalog.snapshot()->Find("a"))->versions()[0]->number(), 2);
}

TEST_F(CatalogTest, RetiredVersionTakesNoMoreCallsAndIsUnloadedWhenTheLastOneHasEnded) {
  Catalog catalog({Entry("a", {2, 1})}, reaper_);
  for (const auto& version : catalog.snapshot()->models().at("a")->versions()) version->SetReady({});
  std::shared_ptr<const ServedVersion> call = *(*catalog.snapshot()->Find("a"))->Choose(0);
  ASSERT_EQ(call->number(), 2);
  Retire(catalog, "a", 2);

  const std::shared_ptr<const ServedModel> model = *catalog.snapshot()->Find("a");
  EXPECT_EQ((*model->Choose(0))->number(), 1);
  EXPECT_EQ(model->Choose(2).status(), WithoutRetry(absl::UnavailableError("model 'a' has been unloaded")));
  EXPECT_EQ(model->versions()[0]->state(), VersionState::kDraining);
  EXPECT_EQ(call->state(), VersionState::kReady) << "the call goes on as it began";
  call = nullptr;
  while (model->versions()[0]->state() == VersionState::kDraining) std::this_thread::yield();
  EXPECT_EQ(model->versions()[0]->state(), VersionState::kUnloaded);
}

TEST_F(CatalogTest, VersionEndsOnTheReaperWhoeverDropsIt) {
  FakeModel model;
  const ManualClock clock;
  WorkerPool pool({.workers = 1});
  Catalog catalog({Entry("a", {1})}, reaper_);
  std::atomic<std::thread::id> ended_on{};
  const auto note = std::shared_ptr<const void>(nullptr, [&](const void*) { ended_on = std::this_thread::get_id(); });
  {
    auto runner = std::make_unique<ModelRunner>(model.Make(), FloatSignature(), ModelRunner::Options{}, pool, clock);
    catalog.snapshot()->models().at("a")->versions()[0]->SetReady(reaper_.Own(std::move(runner), note));
  }
  const_cast<std::shared_ptr<const void>&>(note).reset();
  Retire(catalog, "a", 1);
  while (ended_on.load() == std::thread::id()) std::this_thread::yield();
  EXPECT_NE(ended_on.load(), std::this_thread::get_id());
  EXPECT_TRUE(model.destroyed()) << "what a runner uses outlives it";
}

struct ChooseCase {
  const char* what;
  // Of versions 3, 2, 1: 'l'oading, 'r'eady, 'f'ailed.
  const char* states;
  int64_t asked;
  // The version that is chosen, or 0 and the error.
  int64_t chosen;
  absl::Status error = absl::OkStatus();
};

std::ostream& operator<<(std::ostream& out, const ChooseCase& c) {
  return out << c.what;
}

class ChooseVersion : public testing::TestWithParam<ChooseCase> {};

TEST_P(ChooseVersion, DoesWhatTheTableSays) {
  const ChooseCase& c = GetParam();
  Reaper reaper;
  const auto models = Catalog({Entry("m", {3, 2, 1})}, reaper).snapshot();
  const ServedModel& model = *models->models().at("m");
  bool ready = false;
  for (size_t i = 0; i < 3; ++i) {
    ready |= c.states[i] == 'r';
    if (c.states[i] == 'r') model.versions()[i]->SetReady({});
    if (c.states[i] == 'f') model.versions()[i]->SetFailed("the reason of " + std::to_string(3 - i));
  }
  EXPECT_EQ(model.ready(), ready);
  const auto chosen = model.Choose(c.asked);
  if (c.chosen != 0) {
    ASSERT_TRUE(chosen.ok()) << chosen.status();
    EXPECT_EQ((*chosen)->number(), c.chosen);
  } else {
    EXPECT_EQ(chosen.status().code(), c.error.code());
    EXPECT_EQ(chosen.status().message(), c.error.message());
    EXPECT_EQ(RetryAfter(chosen.status()), RetryAfter(c.error));
    EXPECT_EQ(RetryForbidden(chosen.status()), RetryForbidden(c.error));
  }
}

const absl::Status kStillLoading =
    WithRetryAfter(absl::UnavailableError("model 'm' is still loading"), absl::Seconds(1));

absl::Status Failed(const std::string& reason) {
  return WithoutRetry(absl::UnavailableError("model 'm' could not be loaded: " + reason));
}

const ChooseCase kChooseCases[] = {
    {"the newest that is ready", "rrr", 0, 3},
    {"an older one while the newest loads", "lrr", 0, 2},
    {"an older one if the newest failed", "frr", 0, 2},
    {"the oldest if only that is ready", "flr", 0, 1},
    {"the one that was asked for", "rrr", 2, 2},
    {"the one that was asked for, whatever the others do", "flr", 1, 1},
    {"loading: try again", "lll", 0, 0, kStillLoading},
    {"one failed, others still load: try again", "fll", 0, 0, kStillLoading},
    {"the asked one loads, others are ready: try again", "rlr", 2, 0, kStillLoading},
    {"all failed: it is of no use to try again", "fff", 0, 0, Failed("the reason of 1")},
    {"the asked one failed", "rfr", 2, 0, Failed("the reason of 2")},
    {"the asked one failed, and it does not help that others load", "lfl", 2, 0, Failed("the reason of 2")},
    {"no such version", "rrr", 7, 0, absl::NotFoundError("model 'm' has no version 7; there is 3, 2, 1")},
    {"negative version", "rrr", -1, 0, absl::NotFoundError("model 'm' has no version -1; there is 3, 2, 1")},
};

INSTANTIATE_TEST_SUITE_P(Table, ChooseVersion, testing::ValuesIn(kChooseCases));

TEST_F(ServedModelTest, BrokenFolderIsUnavailableAndTellsNothingInternal) {
  ModelEntry entry = Entry("m", {});
  entry.status = absl::InvalidArgumentError("model.toml: something with /paths/in/it");
  const auto models = Models({entry});
  const ServedModel& model = *models->models().at("m");
  const absl::Status expected =
      WithoutRetry(absl::UnavailableError("model 'm' has no valid configuration: GetModel says what is wrong"));
  EXPECT_EQ(model.Choose(0).status(), expected);
  EXPECT_EQ(model.Choose(1).status(), expected);
  EXPECT_FALSE(model.ready());
  EXPECT_FALSE(model.loading());
}

TEST_F(ServedModelTest, VersionWithAWrongFolderHasFailedAndTheOthersAreServed) {
  ModelEntry entry = Entry("m", {2, 1});
  entry.versions[0].status = absl::InvalidArgumentError("version 2: /models/m/2 has no file");
  const auto models = Models({entry});
  const ServedModel& model = *models->models().at("m");
  EXPECT_EQ(model.versions()[0]->state(), VersionState::kFailed);
  EXPECT_EQ(model.versions()[0]->reason(), "version 2: 2 has no file");
  model.versions()[1]->SetReady({});
  EXPECT_EQ((*model.Choose(0))->number(), 1);
}

ServedVersion::Spec Spec() {
  return {.model = "m", .entry = {1, &kFakePackages, "model.pt2"}, .config = std::make_shared<const ModelConfig>()};
}

TEST(ServedVersionTest, GoesFromLoadingToReadyWithItsRunner) {
  FakeModel model;
  const ManualClock clock;
  WorkerPool pool({.workers = 1});
  ServedVersion version(Spec());
  EXPECT_EQ(version.state(), VersionState::kLoading);
  EXPECT_EQ(version.runner(), nullptr);
  const auto runner =
      std::make_shared<ModelRunner>(model.Make(), FloatSignature(), ModelRunner::Options{}, pool, clock);
  version.SetReady(runner);
  EXPECT_EQ(version.state(), VersionState::kReady);
  EXPECT_EQ(version.runner(), runner.get());
  EXPECT_EQ(version.generator(), nullptr);
}

TEST(ServedVersionTest, HasACacheOfItsOwnIfItsModelHasOne) {
  Reaper reaper;
  const ManualClock clock;
  ModelEntry cached = Entry("cached", {2, 1});
  cached.config.response_cache_bytes = 1 << 20;
  std::vector<std::pair<std::string, int64_t>> made;
  const CatalogParts parts = {.cache = [&](const std::string& model, const ModelConfig&, int64_t version) {
    made.emplace_back(model, version);
    return std::make_shared<ResponseCache>(ResponseCache::Options{.capacity_bytes = 1 << 20}, clock);
  }};
  const auto models = Catalog({cached, Entry("plain", {1})}, reaper, parts).snapshot();
  EXPECT_EQ(made, (std::vector<std::pair<std::string, int64_t>>{{"cached", 2}, {"cached", 1}}));
  const auto& versions = models->models().at("cached")->versions();
  EXPECT_NE(versions[0]->cache(), nullptr);
  EXPECT_NE(versions[0]->cache(), versions[1]->cache());
  EXPECT_EQ(models->models().at("plain")->versions()[0]->cache(), nullptr);
  EXPECT_EQ(Catalog({cached}, reaper).snapshot()->models().at("cached")->versions()[0]->cache(), nullptr)
      << "nobody makes one";
}

TEST(ServedVersionTest, ItsCacheEndsWithItAndIsNotItsSuccessors) {
  const ManualClock clock;
  ServedVersion::Spec spec = Spec();
  spec.cache = std::make_shared<ResponseCache>(ResponseCache::Options{.capacity_bytes = 1 << 20}, clock);
  const std::weak_ptr<ResponseCache> alive = spec.cache;
  auto version = std::make_unique<ServedVersion>(std::move(spec));
  EXPECT_FALSE(alive.expired());
  const std::shared_ptr<ServedVersion> successor = version->Retire();
  EXPECT_EQ(successor->cache(), nullptr);
  version = nullptr;
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(successor->state(), VersionState::kUnloaded);
}

}  // namespace
}  // namespace predictd
