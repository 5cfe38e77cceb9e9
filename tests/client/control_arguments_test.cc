#include "client/predictctl/control_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "client/predictctl/command_line.h"
#include "client/predictctl/traffic_text.h"
#include "client/predictctl/validate_command.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ControlArgumentsTest : public ::testing::Test {
 protected:
  ParsedCommandLine Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "predictctl");
    return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data(), out_, err_);
  }

  template <typename Arguments>
  Arguments Command(const std::vector<const char*>& arguments) {
    return std::get<Arguments>(std::get<CommandLine>(Parse(arguments)).command);
  }

  absl::Duration Deadline(const std::vector<const char*>& arguments) {
    return std::get<CommandLine>(Parse(arguments)).common.deadline;
  }

  void ExpectRefused(const std::vector<const char*>& arguments, const std::string& message) {
    err_.str("");
    const ParsedCommandLine parsed = Parse(arguments);
    ASSERT_TRUE(std::holds_alternative<int>(parsed)) << message;
    EXPECT_EQ(std::get<int>(parsed), 2);
    EXPECT_THAT(err_.str(), HasSubstr(message));
  }

  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(ControlArgumentsTest, EachChangeHasItsCommand) {
  using Change = ControlArguments::Change;
  const std::pair<const char*, Change> kCases[] = {
      {"load", Change::kLoad}, {"unload", Change::kUnload}, {"reload", Change::kReload}};
  for (const auto& [command, change] : kCases) {
    const auto arguments = Command<ControlArguments>({command, "m"});
    EXPECT_EQ(arguments.change, change);
    EXPECT_EQ(arguments.model, "m");
    ExpectRefused({command}, "MODEL");
  }
}

TEST_F(ControlArgumentsTest, WhatMayTakeLongHasNoDeadlineByDefault) {
  EXPECT_EQ(Deadline({"load", "m"}), absl::InfiniteDuration());
  EXPECT_EQ(Deadline({"reload", "m"}), absl::InfiniteDuration());
  EXPECT_EQ(Deadline({"models", "--watch"}), absl::InfiniteDuration());
  EXPECT_EQ(Deadline({"load", "m", "--deadline", "5m"}), absl::Minutes(5));
  EXPECT_EQ(Deadline({"unload", "m"}), absl::Seconds(30));
  EXPECT_EQ(Deadline({"split", "m"}), absl::Seconds(30));
}

TEST_F(ControlArgumentsTest, ModelsAreWatchedIfAskedFor) {
  EXPECT_FALSE(Command<ModelsArguments>({"models", "m"}).watch);
  const auto arguments = Command<ModelsArguments>({"models", "--watch", "m"});
  EXPECT_TRUE(arguments.watch);
  EXPECT_EQ(arguments.name, "m");
  ExpectRefused({"model", "m", "--watch"}, "--watch");
}

TEST_F(ControlArgumentsTest, ASplitIsPrintedAsItIsWritten) {
  const std::vector<const char*> kCases[] = {
      {"1=95", "canary=5"},
      {"1=1", "--shadow", "2=0.1"},
      {"a=b=1"},
      {"1=1", "2=2", "--rollback-to", "1", "--max-failure-excess", "0.02", "--max-latency-ratio", "1.5",
       "--min-requests", "1000"},
      {"1=1", "2=0", "--shadow", "3=1e-05", "--rollback-to", "1", "--max-latency-ratio", "2"},
  };
  for (std::vector<const char*> words : kCases) {
    std::string text;
    for (const char* word : words) text += std::string(text.empty() ? "" : " ") + word;
    words.insert(words.begin(), {"split", "m"});
    const auto arguments = Command<SplitArguments>(words);
    EXPECT_EQ(TrafficText(arguments.traffic), text);
    EXPECT_FALSE(arguments.reset);
  }
}

TEST_F(ControlArgumentsTest, ASplitWithoutSharesShowsOrResets) {
  const auto shown = Command<SplitArguments>({"split", "m"});
  EXPECT_EQ(shown.model, "m");
  EXPECT_TRUE(shown.traffic.shares().empty());
  EXPECT_FALSE(shown.reset);
  EXPECT_TRUE(Command<SplitArguments>({"split", "m", "--reset"}).reset);
}

TEST_F(ControlArgumentsTest, AWrongSplitIsNamed) {
  ExpectRefused({"split"}, "MODEL");
  for (const char* share : {"1", "=1", "1=", "1=x", "1=0.5"}) {
    ExpectRefused({"split", "m", share}, "SHARE: expected VERSION=WEIGHT with a whole number");
  }
  for (const char* shadow : {"1", "=0.1", "1=x"}) {
    ExpectRefused({"split", "m", "1=1", "--shadow", shadow}, "--shadow: expected VERSION=FRACTION");
  }
  ExpectRefused({"split", "m", "--shadow", "2=0.1"}, "--shadow requires SHARE");
  ExpectRefused({"split", "m", "--rollback-to", "1"}, "--rollback-to requires SHARE");
  ExpectRefused({"split", "m", "1=1", "--min-requests", "5"}, "--min-requests requires --rollback-to");
  ExpectRefused({"split", "m", "1=1", "--reset"}, "SHARE excludes --reset");
}

TEST_F(ControlArgumentsTest, ValidateHasNoServer) {
  const auto arguments =
      std::get<ValidateArguments>(Parse({"validate", "models/m", "--predictd", "p", "--", "--workers", "2"}));
  EXPECT_EQ(arguments.folder, "models/m");
  EXPECT_EQ(arguments.predictd, "p");
  EXPECT_THAT(arguments.options, ElementsAre("--workers", "2"));
  ExpectRefused({"validate"}, "FOLDER");
  ExpectRefused({"validate", "m", "--json"}, "--json");
  ExpectRefused({"validate", "m", "--wokers"}, "there is no option '--wokers'");
}

TEST_F(ControlArgumentsTest, ValidateTakesThePredictdBesidePredictctl) {
  EXPECT_EQ(PredictdOf({.predictd = "mine"}, "/bin"), "mine");
  EXPECT_EQ(PredictdOf({}, "/nonexistent"), "predictd");
  EXPECT_EQ(PredictdOf({}, ""), "predictd");
}

TEST_F(ControlArgumentsTest, HelpHasExamples) {
  for (const char* command : {"load", "unload", "reload", "split", "validate"}) {
    out_.str("");
    EXPECT_EQ(std::get<int>(Parse({command, "--help"})), 0);
    EXPECT_THAT(out_.str(), HasSubstr(std::string("predictctl ") + command + " "));
  }
}

}  // namespace
}  // namespace predictd
