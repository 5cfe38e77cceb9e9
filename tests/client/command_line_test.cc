#include "client/predictctl/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class CommandLineTest : public ::testing::Test {
 protected:
  std::variant<CommandLine, int> Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "predictctl");
    return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data(), out_, err_);
  }

  template <typename Arguments>
  Arguments Command(const std::vector<const char*>& arguments) {
    return std::get<Arguments>(std::get<CommandLine>(Parse(arguments)).command);
  }

  CommonArguments Common(const std::vector<const char*>& arguments) {
    return std::get<CommandLine>(Parse(arguments)).common;
  }

  void ExpectRefused(const std::vector<const char*>& arguments, const std::string& message) {
    err_.str("");
    const std::variant<CommandLine, int> parsed = Parse(arguments);
    ASSERT_TRUE(std::holds_alternative<int>(parsed)) << message;
    EXPECT_EQ(std::get<int>(parsed), 2);
    EXPECT_THAT(err_.str(), HasSubstr(message));
  }

  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandLineTest, CommonOptionsMayStandBehindTheCommand) {
  const CommonArguments common = Common(
      {"models", "--address", "host:1", "--deadline", "250ms", "--header", "X-A=b=c", "--header", "d=", "--json"});
  EXPECT_EQ(common.address, "host:1");
  EXPECT_EQ(common.deadline, absl::Milliseconds(250));
  EXPECT_THAT(common.headers, ElementsAre(Pair("x-a", "b=c"), Pair("d", "")));
  EXPECT_TRUE(common.json);
}

TEST_F(CommandLineTest, DeadlineZeroIsNone) {
  EXPECT_EQ(Common({"models", "--deadline", "0"}).deadline, absl::InfiniteDuration());
  EXPECT_EQ(Common({"models"}).deadline, absl::Seconds(30));
}

TEST_F(CommandLineTest, AddressComesFromTheEnvironment) {
  unsetenv("PREDICTD_ADDRESS");
  EXPECT_EQ(Common({"models"}).address, "127.0.0.1:8500");
  setenv("PREDICTD_ADDRESS", "other:2", 1);
  EXPECT_EQ(Common({"models"}).address, "other:2");
  EXPECT_EQ(Common({"--address", "host:1", "models"}).address, "host:1");
  unsetenv("PREDICTD_ADDRESS");
}

TEST_F(CommandLineTest, PredictTakesItsOptions) {
  const auto arguments = Command<PredictArguments>({"predict",      "m",      "--input",      "[[1,2],[3,4]]",
                                                    "--input",      "y=[5]",  "--rows",       "1:",
                                                    "--version",    "2",      "--output",     "a",
                                                    "--output",     "b",      "--request-id", "r",
                                                    "--argmax",     "--full", "--out",        "a=f.npy",
                                                    "--json-input", "-"});
  EXPECT_EQ(arguments.model, "m");
  EXPECT_THAT(arguments.inputs, ElementsAre("[[1,2],[3,4]]", "y=[5]"));
  EXPECT_THAT(arguments.json_inputs, ElementsAre("-"));
  EXPECT_EQ(arguments.rows, (RowRange{1, std::nullopt}));
  EXPECT_EQ(arguments.version, 2);
  EXPECT_THAT(arguments.outputs, ElementsAre("a", "b"));
  EXPECT_EQ(arguments.request_id, "r");
  EXPECT_TRUE(arguments.argmax);
  EXPECT_TRUE(arguments.full);
  EXPECT_EQ(arguments.files.front().path, "f.npy");
}

TEST_F(CommandLineTest, StreamTakesThoseOfPredictAndItsOwn) {
  const auto arguments = Command<StreamArguments>(
      {"stream", "m", "--input", "-1", "--chunk-rows", "8", "--unordered", "--per-item-errors", "--out", "f.npy"});
  EXPECT_THAT(arguments.predict.inputs, ElementsAre("-1"));
  EXPECT_EQ(arguments.predict.files.front().path, "f.npy");
  EXPECT_EQ(arguments.chunk_rows, 8);
  EXPECT_TRUE(arguments.unordered);
  EXPECT_TRUE(arguments.per_item_errors);
}

TEST_F(CommandLineTest, TensorsAreTypedForJsonUnlessToldOtherwise) {
  EXPECT_EQ(Command<PredictArguments>({"predict", "m"}).encoding, Encoding::kRaw);
  EXPECT_EQ(Command<PredictArguments>({"predict", "m", "--typed"}).encoding, Encoding::kTyped);
  EXPECT_EQ(Command<PredictArguments>({"predict", "m", "--json"}).encoding, Encoding::kTyped);
  EXPECT_EQ(Command<PredictArguments>({"predict", "m", "--json", "--raw"}).encoding, Encoding::kRaw);
  EXPECT_EQ(Command<StreamArguments>({"stream", "m", "--typed"}).predict.encoding, Encoding::kTyped);
  EXPECT_EQ(Command<StreamArguments>({"stream", "m", "--json"}).predict.encoding, Encoding::kTyped);
}

TEST_F(CommandLineTest, WrongUsageIsNamed) {
  ExpectRefused({}, "subcommand");
  ExpectRefused({"predict"}, "MODEL");
  ExpectRefused({"predict", "m", "--inptu", "1"}, "--inptu");
  ExpectRefused({"predict", "m", "--chunk-rows", "1"}, "--chunk-rows");
  ExpectRefused({"predict", "m", "--version", "-1"}, "--version");
  ExpectRefused({"predict", "m", "--rows", "5:1"}, "--rows");
  ExpectRefused({"predict", "m", "--out", "f.txt"}, "--out");
  ExpectRefused({"predict", "m", "--raw", "--typed"}, "--typed");
  ExpectRefused({"models", "--deadline", "5"}, "--deadline");
  ExpectRefused({"models", "--deadline", "-5s"}, "--deadline");
  ExpectRefused({"models", "--header", "x"}, "--header");
}

TEST_F(CommandLineTest, HelpTellsTheExitStatuses) {
  EXPECT_EQ(std::get<int>(Parse({"--help"})), 0);
  EXPECT_THAT(out_.str(), HasSubstr("Exit status:"));
  out_.str("");
  EXPECT_EQ(std::get<int>(Parse({"predict", "--help"})), 0);
  EXPECT_THAT(out_.str(), HasSubstr("NAME=@FILE.npy"));
}

}  // namespace
}  // namespace predictd
