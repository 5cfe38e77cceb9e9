#include "server/serving/ready_condition.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace predictd {
namespace {

// Models a, b, ...: 'l'oading, 'r'eady, 'f'ailed, or without a valid 'c'onfiguration.
std::shared_ptr<const CatalogSnapshot> MakeModels(const std::string& states) {
  std::vector<ModelEntry> entries;
  for (size_t i = 0; i < states.size(); ++i) {
    ModelEntry entry;
    entry.name = std::string(1, static_cast<char>('a' + i));
    if (states[i] == 'c') {
      entry.status = absl::InvalidArgumentError("x");
    } else {
      entry.versions.push_back({.version = 1});
    }
    entries.push_back(std::move(entry));
  }
  static Reaper reaper;
  auto models = Catalog(entries, reaper).snapshot();
  size_t i = 0;
  for (const auto& [name, model] : models->models()) {
    if (states[i] == 'r') model->versions()[0]->SetReady({});
    if (states[i] == 'f') model->versions()[0]->SetFailed("x");
    ++i;
  }
  return models;
}

struct ReadyCase {
  const char* ready;
  const char* states;
  bool met;
};

std::ostream& operator<<(std::ostream& out, const ReadyCase& c) {
  return out << c.ready << " of " << c.states;
}

class ReadyConditionTest : public testing::TestWithParam<ReadyCase> {};

TEST_P(ReadyConditionTest, DoesWhatTheTableSays) {
  const auto models = MakeModels(GetParam().states);
  const auto condition = ReadyCondition::Create(GetParam().ready, *models);
  ASSERT_TRUE(condition.ok()) << condition.status();
  EXPECT_EQ(condition->Met(*models), GetParam().met);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ReadyConditionTest,
    testing::Values(ReadyCase{"any", "rr", true}, ReadyCase{"any", "rf", true}, ReadyCase{"any", "cr", true},
                    ReadyCase{"any", "rl", false}, ReadyCase{"any", "ff", false}, ReadyCase{"any", "cf", false},
                    ReadyCase{"any", "", true}, ReadyCase{"all", "rr", true}, ReadyCase{"all", "rf", false},
                    ReadyCase{"all", "rc", false}, ReadyCase{"all", "rl", false}, ReadyCase{"all", "", true},
                    ReadyCase{"a", "rfl", true}, ReadyCase{"b", "rfl", false}, ReadyCase{"a,c", "rfl", false},
                    ReadyCase{" a , c ", "rfr", true}, ReadyCase{"b", "rc", false}));

TEST(ReadyConditionNamesTest, UnknownModelIsAnErrorThatNamesItAndThoseThatExist) {
  const auto models = MakeModels("rr");
  EXPECT_EQ(ReadyCondition::Create("a,z", *models).status(),
            absl::InvalidArgumentError("there is no model 'z'; there is a, b"));
  EXPECT_EQ(ReadyCondition::Create("a,", *models).status(),
            absl::InvalidArgumentError("there is no model ''; there is a, b"));
}

TEST(ReadyConditionLaterTest, OnceItWasMetOnlyNamedModelsCount) {
  const auto models = MakeModels("fl");
  EXPECT_TRUE(ReadyCondition::Create("any", *models)->Met(*models, /*was_met=*/true));
  EXPECT_TRUE(ReadyCondition::Create("all", *models)->Met(*models, /*was_met=*/true));
  EXPECT_FALSE(ReadyCondition::Create("a", *models)->Met(*models, /*was_met=*/true));
}

TEST(ReadyConditionNamesTest, ModelThatHasGoneIsNotReady) {
  const auto condition = ReadyCondition::Create("a,b", *MakeModels("rr"));
  ASSERT_TRUE(condition.ok());
  EXPECT_FALSE(condition->Met(*MakeModels("r")));
}

}  // namespace
}  // namespace predictd
