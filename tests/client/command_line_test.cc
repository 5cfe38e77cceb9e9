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
  ParsedCommandLine Parse(std::vector<const char*> arguments) {
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
    const ParsedCommandLine parsed = Parse(arguments);
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

TEST_F(CommandLineTest, OptionsHaveTheNamesThatOtherToolsGiveThem) {
  const CommonArguments common =
      Common({"models", "--timeout", "1m30s", "-H", "a=1", "--metadata", "B: 2", "--authority", "model.example"});
  EXPECT_EQ(common.deadline, absl::Seconds(90));
  EXPECT_THAT(common.headers, ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_EQ(common.tls.server_name, "model.example");
}

TEST_F(CommandLineTest, TlsTakesFiles) {
  EXPECT_FALSE(Common({"models"}).tls.tls);
  const TlsArguments tls =
      Common({"models", "--tls", "--cacert", "ca.pem", "--cert", "c.pem", "--key", "k.pem", "--server-name", "s"}).tls;
  EXPECT_TRUE(tls.tls);
  EXPECT_EQ(tls.cacert, "ca.pem");
  EXPECT_EQ(tls.cert, "c.pem");
  EXPECT_EQ(tls.key, "k.pem");
  EXPECT_EQ(tls.server_name, "s");
  ExpectRefused({"models", "--cert", "c.pem"}, "--key");
  EXPECT_EQ(*CredentialsOf({}), nullptr);
  EXPECT_NE(*CredentialsOf({.tls = true}), nullptr);
  EXPECT_THAT(std::string(CredentialsOf({.cacert = "/nonexistent/ca.pem"}).status().message()),
              HasSubstr("--cacert /nonexistent/ca.pem: cannot be read: No such file"));
  EXPECT_THAT(std::string(CredentialsOf({.cacert = "/proc/self/cmdline"}).status().message()),
              HasSubstr("not in PEM format"));
  EXPECT_EQ(std::string(CredentialsOf({.cacert = "/dev/zero"}).status().message()),
            "--cacert /dev/zero: it has more than 4194304 bytes");
}

TEST_F(CommandLineTest, AnAddressNeedsNoPortAndHasNoScheme) {
  const std::pair<const char*, const char*> kCases[] = {
      {"host", "host:8500"},
      {"host:1", "host:1"},
      {"127.0.0.1", "127.0.0.1:8500"},
      {"[::1]:1", "[::1]:1"},
      {"[::1]", "[::1]:8500"},
      {"::1", "[::1]:8500"},
      {"fe80::1%eth0", "[fe80::1%eth0]:8500"},
      {"unix:/run/x.sock", "unix:/run/x.sock"},
      {"dns:///host:1", "dns:///host:1"},
  };
  for (const auto& [text, address] : kCases) EXPECT_EQ(Common({"models", "--address", text}).address, address);
  for (const char* text : {"host:", "host:0", "host:65536", "host:x", ":1", "[::1]:", "[::1]:-1"}) {
    ExpectRefused({"models", "--address", text}, "expected HOST:PORT with a port from 1 to 65535");
  }
  ExpectRefused({"models", "--address", "http://host:1"}, "without 'http://'");
}

TEST_F(CommandLineTest, AModelIsDescribedByEitherCommand) {
  EXPECT_EQ(Command<ModelsArguments>({"models", "m"}).name, "m");
  EXPECT_EQ(Command<ModelsArguments>({"model", "m"}).name, "m");
  ExpectRefused({"model"}, "NAME");
}

TEST_F(CommandLineTest, WhatTheServerMayDoWithARequestCanBeSaid) {
  const auto arguments = Command<PredictArguments>({"predict", "m", "--cast", "--priority", "4", "--no-cache"});
  EXPECT_TRUE(arguments.cast);
  EXPECT_EQ(arguments.priority, 4);
  EXPECT_TRUE(arguments.no_cache);
  EXPECT_EQ(Command<StreamArguments>({"stream", "m", "--priority", "0"}).predict.priority, 0);
  EXPECT_FALSE(Command<PredictArguments>({"predict", "m"}).priority.has_value());
}

TEST_F(CommandLineTest, UnknownWordsAreNamedWithTheClosestOnes) {
  ExpectRefused({"modles"}, "there is no command 'modles'; did you mean 'models'?");
  ExpectRefused({"--address", "host:1", "-H", "a=b", "explain"},
                "there is no command 'explain'\nThe commands are models, model, predict");
  ExpectRefused({"predict", "m", "--inptu", "1"}, "there is no option '--inptu'; did you mean '--input'?");
  ExpectRefused({"generate", "m", "--tempreature=1"}, "did you mean '--temperature'?");
  ExpectRefused({"predict", "m", "--adress", "1"}, "did you mean '--address'?");
  ExpectRefused({"models", "a", "b"}, "an argument too many: 'b'");
}

TEST_F(CommandLineTest, VersionIsThatOfTheProgram) {
  EXPECT_EQ(std::get<int>(Parse({"--version"})), 0);
  EXPECT_THAT(out_.str(), ::testing::MatchesRegex("predictctl [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_EQ(Command<PredictArguments>({"predict", "m", "--version", "2"}).version, 2);
}

TEST_F(CommandLineTest, AMessageMayBeAsLargeAsGrpcAllows) {
  EXPECT_EQ(Common({"models"}).max_message_bytes, 2147483647);
  const std::pair<const char*, std::int64_t> kCases[] = {
      {"1", 1}, {"4096", 4096}, {"1KiB", 1024}, {"64MiB", 64 << 20}, {"2GiB", 2147483647}, {"2147483647", 2147483647}};
  for (const auto& [text, bytes] : kCases) {
    EXPECT_EQ(Common({"models", "--max-message-bytes", text}).max_message_bytes, bytes) << text;
  }
  EXPECT_EQ(Common({"models", "--max-msg-sz", "5"}).max_message_bytes, 5) << "as grpcurl calls it";
  for (const char* text : {"0", "-1", "3GiB", "2147483649", "9223372036854775807GiB", "1.5MiB", "64MB", "MiB", ""}) {
    ExpectRefused({"models", "--max-message-bytes", text}, "expected bytes as in 4096 or 64MiB");
  }
}

TEST_F(CommandLineTest, ASilentServerIsProbedNotTooOften) {
  EXPECT_EQ(Common({"models"}).keepalive_time, absl::Seconds(20));
  EXPECT_EQ(Common({"models", "--keepalive-time", "10s"}).keepalive_time, absl::Seconds(10));
  EXPECT_EQ(Common({"models", "--keepalive-time", "0"}).keepalive_time, absl::InfiniteDuration());
  ExpectRefused({"models", "--keepalive-time", "9s"}, "--keepalive-time: expected at least 10s");
  ExpectRefused({"models", "--keepalive-time", "often"}, "expected a duration");
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
  ExpectRefused({}, "a command is needed: models, model");
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
  for (const char* command : {"models", "model", "predict", "stream"}) {
    out_.str("");
    EXPECT_EQ(std::get<int>(Parse({command, "--help"})), 0);
    EXPECT_THAT(out_.str(), HasSubstr(std::string("Example: predictctl ") + command));
  }
}

}  // namespace
}  // namespace predictd
