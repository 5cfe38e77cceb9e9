#include "server/engine/catalog.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "server/model/retry_advice.h"
#include "tests/engine/runner_test.h"

namespace predictd {
namespace {

ModelEntry Entry(std::string name, const std::vector<int64_t>& versions) {
  ModelEntry entry;
  entry.name = std::move(name);
  for (int64_t version : versions) entry.versions.push_back({version, Backend::kTorchScript, ""});
  return entry;
}

TEST(CatalogTest, FindsAModelByItsName) {
  const Catalog catalog({Entry("digits", {1}), Entry("other", {1})});
  const auto found = catalog.Find("digits");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ((*found)->name(), "digits");
}

TEST(CatalogTest, UnknownModelIsNotFoundAndTheErrorNamesThoseThatExist) {
  const Catalog catalog({Entry("b", {1}), Entry("a", {1})});
  EXPECT_EQ(catalog.Find("c").status(), absl::NotFoundError("there is no model 'c'; there is a, b"));
}

TEST(CatalogTest, ErrorListsTwentyModelsAtMost) {
  std::vector<ModelEntry> entries;
  for (int i = 10; i < 31; ++i) entries.push_back(Entry("m" + std::to_string(i), {1}));
  const Catalog catalog(std::move(entries));
  const std::string message(catalog.Find("x").status().message());
  EXPECT_NE(message.find("m29, ..."), std::string::npos) << message;
  EXPECT_EQ(message.find("m30"), std::string::npos) << message;
}

TEST(CatalogTest, EmptyCatalogSaysThatThereIsNone) {
  const Catalog catalog({});
  EXPECT_EQ(catalog.Find("x").status(), absl::NotFoundError("there is no model at all"));
  EXPECT_FALSE(catalog.loading());
}

TEST(CatalogTest, IsLoadingUntilEveryVersionIsThroughOrBroken) {
  const Catalog catalog({Entry("a", {2, 1}), Entry("b", {1})});
  EXPECT_TRUE(catalog.loading());
  catalog.models().at("a").versions()[0]->SetFailed("x");
  catalog.models().at("a").versions()[1]->SetReady(nullptr);
  EXPECT_TRUE(catalog.loading());
  EXPECT_FALSE(catalog.models().at("a").loading());
  catalog.models().at("b").versions()[0]->SetReady(nullptr);
  EXPECT_FALSE(catalog.loading());
}

struct ChooseCase {
  const char* what;
  // Of versions 3, 2, 1: 'l'oading, 'r'eady, 'f'ailed.
  const char* states;
  int64_t asked;
  // The version that is chosen, or 0 and the error.
  int64_t chosen;
  absl::Status error = absl::OkStatus();
  bool retry = false;
};

std::ostream& operator<<(std::ostream& out, const ChooseCase& c) {
  return out << c.what;
}

class ChooseVersion : public testing::TestWithParam<ChooseCase> {};

TEST_P(ChooseVersion, DoesWhatTheTableSays) {
  const ChooseCase& c = GetParam();
  const ServedModel model(Entry("m", {3, 2, 1}));
  bool ready = false;
  for (size_t i = 0; i < 3; ++i) {
    ready |= c.states[i] == 'r';
    if (c.states[i] == 'r') model.versions()[i]->SetReady(nullptr);
    if (c.states[i] == 'f') model.versions()[i]->SetFailed("the reason of " + std::to_string(3 - i));
  }
  EXPECT_EQ(model.ready(), ready);
  const auto chosen = model.Choose(c.asked);
  if (c.chosen != 0) {
    ASSERT_TRUE(chosen.ok()) << chosen.status();
    EXPECT_EQ((*chosen)->entry().version, c.chosen);
  } else {
    EXPECT_EQ(chosen.status().code(), c.error.code());
    EXPECT_EQ(chosen.status().message(), c.error.message());
    EXPECT_EQ(RetryAfter(chosen.status()).has_value(), c.retry);
  }
}

const absl::Status kStillLoading = absl::UnavailableError("model 'm' is still loading");

const ChooseCase kChooseCases[] = {
    {"the newest that is ready", "rrr", 0, 3},
    {"an older one while the newest loads", "lrr", 0, 2},
    {"an older one if the newest failed", "frr", 0, 2},
    {"the oldest if only that is ready", "flr", 0, 1},
    {"the one that was asked for", "rrr", 2, 2},
    {"the one that was asked for, whatever the others do", "flr", 1, 1},
    {"loading: try again", "lll", 0, 0, kStillLoading, true},
    {"one failed, others still load: try again", "fll", 0, 0, kStillLoading, true},
    {"the asked one loads, others are ready: try again", "rlr", 2, 0, kStillLoading, true},
    {"all failed", "fff", 0, 0, absl::UnavailableError("model 'm' could not be loaded: the reason of 1")},
    {"the asked one failed", "rfr", 2, 0, absl::UnavailableError("model 'm' could not be loaded: the reason of 2")},
    {"the asked one failed, and it does not help that others load", "lfl", 2, 0,
     absl::UnavailableError("model 'm' could not be loaded: the reason of 2")},
    {"no such version", "rrr", 7, 0, absl::NotFoundError("model 'm' has no version 7; there is 3, 2, 1")},
    {"negative version", "rrr", -1, 0, absl::NotFoundError("model 'm' has no version -1; there is 3, 2, 1")},
};

INSTANTIATE_TEST_SUITE_P(Table, ChooseVersion, testing::ValuesIn(kChooseCases));

TEST(ServedModelTest, BrokenFolderIsUnavailableAndTellsNothingInternal) {
  ModelEntry entry = Entry("m", {});
  entry.status = absl::InvalidArgumentError("model.toml: something with /paths/in/it");
  const ServedModel model(std::move(entry));
  EXPECT_EQ(model.Choose(0).status(), absl::UnavailableError("model 'm' has no valid configuration"));
  EXPECT_EQ(model.Choose(1).status(), absl::UnavailableError("model 'm' has no valid configuration"));
  EXPECT_FALSE(model.ready());
  EXPECT_FALSE(model.loading());
}

TEST(ServedVersionTest, GoesFromLoadingToReadyWithItsRunner) {
  FakeModel model;
  const ManualClock clock;
  WorkerPool pool({.workers = 1});
  ServedVersion version({1, Backend::kAotInductor, "model.pt2"});
  EXPECT_EQ(version.state(), VersionState::kLoading);
  const auto runner =
      std::make_shared<ModelRunner>(model.Make(), FloatSignature(), ModelRunner::Options{}, pool, clock);
  version.SetReady(runner);
  EXPECT_EQ(version.state(), VersionState::kReady);
  EXPECT_EQ(version.runner(), runner);
}

TEST(ServedVersionTest, HasACacheOfItsOwnIfItsModelHasOne) {
  const ManualClock clock;
  ModelEntry cached = Entry("cached", {2, 1});
  cached.config.response_cache_bytes = 1 << 20;
  std::vector<std::pair<std::string, int64_t>> made;
  const Catalog catalog({cached, Entry("plain", {1})}, [&](const ModelEntry& model, int64_t version) {
    made.emplace_back(model.name, version);
    return std::make_shared<ResponseCache>(ResponseCache::Options{.capacity_bytes = 1 << 20}, clock);
  });
  EXPECT_EQ(made, (std::vector<std::pair<std::string, int64_t>>{{"cached", 2}, {"cached", 1}}));
  const auto& versions = catalog.models().at("cached").versions();
  EXPECT_NE(versions[0]->cache(), nullptr);
  EXPECT_NE(versions[0]->cache(), versions[1]->cache());
  EXPECT_EQ(catalog.models().at("plain").versions()[0]->cache(), nullptr);
  EXPECT_EQ(Catalog({cached}).models().at("cached").versions()[0]->cache(), nullptr) << "nobody makes one";
}

TEST(ServedVersionTest, ItsCacheEndsWithIt) {
  const ManualClock clock;
  auto cache = std::make_shared<ResponseCache>(ResponseCache::Options{.capacity_bytes = 1 << 20}, clock);
  const std::weak_ptr<ResponseCache> alive = cache;
  {
    const ServedVersion version({1, Backend::kTorchScript, "model.pt"}, std::move(cache));
    EXPECT_FALSE(alive.expired());
  }
  EXPECT_TRUE(alive.expired());
}

}  // namespace
}  // namespace predictd
