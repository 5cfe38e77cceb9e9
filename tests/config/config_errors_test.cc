#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/config/parsed_config.h"
#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

struct BadConfig {
  std::vector<std::string> flags;
  std::map<std::string, std::string> environment;
  // Content of a file given with --config, if any.
  const char* file = nullptr;
  // What the error must name.
  std::vector<std::string> named;
};

std::ostream& operator<<(std::ostream& out, const BadConfig& c) {
  return out << (c.flags.empty() ? "" : c.flags.back()) << (c.file == nullptr ? "" : c.file);
}

class BadConfigTest : public testing::TestWithParam<BadConfig> {};

TEST_P(BadConfigTest, ExitsWithTwoAndNamesItself) {
  const TempFolder folder;
  std::vector<std::string> flags = GetParam().flags;
  if (GetParam().file != nullptr) {
    folder.Write("predictd.toml", GetParam().file);
    flags.insert(flags.end(), {"--config", (folder.path() / "predictd.toml").string()});
  }
  const ParsedConfig parsed(flags, GetParam().environment);
  EXPECT_FALSE(parsed.config.has_value());
  EXPECT_EQ(parsed.exit_code, 2);
  EXPECT_EQ(parsed.out, "");
  for (const std::string& name : GetParam().named) {
    EXPECT_NE(parsed.err.find(name), std::string::npos) << parsed.err << "does not name " << name;
  }
}

BadConfig Flag(const std::string& flag, const std::vector<std::string>& named) {
  return {{"--model-repository", "r", flag}, {}, nullptr, named};
}

BadConfig File(const char* content, const std::vector<std::string>& named) {
  return {{"--model-repository", "r"}, {}, content, named};
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadConfigTest,
    testing::Values(
        BadConfig{{}, {}, nullptr, {"--model-repository"}}, Flag("--colour=blue", {"--colour"}), Flag("blue", {"blue"}),
        Flag("--listen", {"--listen"}), Flag("--listen=0.0.0.0:70000", {"--listen", "70000"}),
        Flag("--listen=127.0.0.1", {"--listen", "port is missing"}),
        Flag("--listen=0:8500", {"--listen", "not a host"}),
        Flag("--metrics-listen=127.0.0.1", {"--metrics-listen", "port is missing"}),
        Flag("--metrics-listen=unix:/a", {"--metrics-listen", "IP address"}), Flag("--loops=-1", {"--loops", "-1"}),
        Flag("--loops=257", {"--loops", "257"}), Flag("--loops=two", {"--loops", "two"}),
        Flag("--workers=1025", {"--workers", "1025"}), Flag("--workers=1.5", {"--workers", "1.5"}),
        Flag("--intra-op-threads=0", {"--intra-op-threads"}), Flag("--stream-window=0", {"--stream-window"}),
        Flag("--stream-window=1025", {"--stream-window"}),
        Flag("--max-concurrent-streams=0", {"--max-concurrent-streams"}),
        Flag("--max-message-bytes=1023", {"--max-message-bytes"}),
        Flag("--max-message-bytes=3GiB", {"--max-message-bytes"}),
        Flag("--max-message-bytes=lots", {"--max-message-bytes"}),
        Flag("--drain-grace=30", {"--drain-grace", "'30'", "250ms or 30s"}),
        Flag("--drain-grace=-1s", {"--drain-grace", "'-1s'"}), Flag("--drain-grace=inf", {"--drain-grace", "'inf'"}),
        Flag("--default-deadline=soon", {"--default-deadline", "'soon'"}),
        Flag("--log-level=loud", {"--log-level", "loud"}), Flag("--log-format=xml", {"--log-format", "xml"}),
        Flag("--log-requests=some", {"--log-requests", "some"}),
        Flag("--trace-exporter=zipkin", {"--trace-exporter", "zipkin"}),
        Flag("--trace-exporter=file", {"--trace-file"}), Flag("--trace-sample-ratio=1.1", {"--trace-sample-ratio"}),
        Flag("--trace-sample-ratio=-0.1", {"--trace-sample-ratio"}),
        Flag("--trace-sample-ratio=nan", {"--trace-sample-ratio"}), Flag("--config=/no/such/file", {"/no/such/file"}),
        BadConfig{{}, {{"PREDICTD_CONFIG", "/no/such/file"}}, nullptr, {"/no/such/file"}},
        BadConfig{{"--model-repository", "r"}, {{"PREDICTD_WORKERS", "many"}}, nullptr, {"many"}},
        BadConfig{{"--model-repository", "r"}, {{"PREDICTD_DRAIN_GRACE", "x"}}, nullptr, {"--drain-grace", "'x'"}},
        File("colour = \"blue\"\n", {"--config", "'colour'"}), File("Listen = \":1\"\n", {"'Listen'"}),
        File("[server]\nlisten = \":1\"\n", {"server"}), File("workers = \"many\"\n", {"--workers", "many"}),
        File("workers = -1\n", {"--workers", "-1"}), File("drain-grace = 30\n", {"--drain-grace", "'30'"}),
        File("log-level = \"loud\"\n", {"--log-level", "loud"}), File("workers = [1, 2]\n", {"--workers"}),
        File("workers = 1\nworkers = 2\n", {"workers"}),
        // No number is read in another way than it looks.
        Flag("--workers=010", {"--workers", "'010'"}), Flag("--workers=0x3", {"--workers", "0x3"}),
        Flag("--workers=1e3", {"--workers", "1e3"}), Flag("--workers= 5", {"--workers", "' 5'"}),
        Flag("--workers=5 ", {"--workers", "5 "}), Flag("--workers=+5", {"--workers", "'+5'"}),
        Flag("--workers=", {"--workers"}), Flag("--workers=99999999999999999999", {"--workers", "9999999"}),
        Flag("--workers=4294967297", {"--workers", "4294967297"}), Flag("--workers=NaN", {"--workers", "NaN"}),
        Flag("--max-message-bytes=010KiB", {"--max-message-bytes", "'010KiB'"}),
        Flag("--max-message-bytes=1.5MiB", {"--max-message-bytes", "'1.5MiB'"}),
        Flag("--max-message-bytes=99999999999TiB", {"--max-message-bytes", "'99999999999TiB'"}),
        Flag("--max-message-bytes=-1", {"--max-message-bytes", "-1"}),
        Flag("--max-message-bytes=4 KiB", {"--max-message-bytes", "'4 KiB'"}),
        Flag("--trace-sample-ratio=0x1p-1", {"--trace-sample-ratio"}),
        Flag("--trace-sample-ratio= 0.5", {"--trace-sample-ratio"}),
        Flag("--drain-grace=+5s", {"--drain-grace", "'+5s'"}), Flag("--drain-grace= 5s", {"--drain-grace", "' 5s'"}),
        Flag("--drain-grace=5s ", {"--drain-grace", "'5s '"}), Flag("--drain-grace=", {"--drain-grace", "''"}),
        Flag("--drain-grace=-0s", {"--drain-grace"}), Flag("--drain-grace=nan", {"--drain-grace"}),
        // A flag never takes another one for its value, and none is given twice.
        BadConfig{{"--port-file", "--workers=3"}, {}, nullptr, {"--port-file", "missing"}},
        BadConfig{{"--workers=3", "--workers=4"}, {}, nullptr, {"--workers", "twice"}}, Flag("--", {"'--'"}),
        Flag("-w", {"'-w'"}), Flag("--wrokers=2", {"--wrokers", "did you mean --workers?"}),
        Flag("--model-repository=", {"--model-repository"}),
        // Nor is a name passed over that nobody knows.
        BadConfig{{"--model-repository", "r"},
                  {{"PREDICTD_WROKERS", "2"}},
                  nullptr,
                  {"PREDICTD_WROKERS", "did you mean PREDICTD_WORKERS?"}},
        BadConfig{{"--model-repository", "r"}, {{"PREDICTD_", "2"}}, nullptr, {"PREDICTD_"}},
        BadConfig{{"--model-repository", "r"}, {{"PREDICTD_PORT", "8500"}}, nullptr, {"PREDICTD_PORT"}},
        BadConfig{{"--model-repository", "r"}, {{"PREDICTD_SERVICE_PORT", "http"}}, nullptr, {"PREDICTD_SERVICE_PORT"}},
        File("wrokers = 2\n", {"'wrokers'", "did you mean workers?"}), File("config = \"x\"\n", {"'config'"}),
        // The file is TOML, and its types count.
        File("workers = 010\n", {"--config", "line 1"}), File("workers = \"3\"\n", {"--workers", "'3'"}),
        File("workers = 3.0\n", {"--workers", "'3.0'"}), File("workers = true\n", {"--workers", "'true'"}),
        File("workers = 1979-05-27\n", {"--workers", "'1979-05-27'"}), File("workers = 3 4\n", {"--config", "line 1"}),
        File("workers = {n = 3}\n", {"--workers"}), File("listen = 1\n", {"--listen", "'1'"}),
        File("max-message-bytes = 1e6\n", {"--max-message-bytes"}),
        File("trace-sample-ratio = \"0.5\"\n", {"--trace-sample-ratio", "'0.5'"}),
        File("trace-sample-ratio = nan\n", {"--trace-sample-ratio", "nan"}),
        File("trace-sample-ratio = inf\n", {"--trace-sample-ratio", "inf"}),
        File("port-file = \"a\\u0000b\"\n", {"--port-file"}), File("listen\n", {"--config", "line 1"}),
        File("listen = :1\n", {"--config", "line 1"}), File("\xFF\n", {"--config"}),
        BadConfig{
            {"--model-repository", "r", "--config=/dev/zero"}, {}, nullptr, {"--config", "/dev/zero", "regular"}}));

TEST(ConfigHelpTest, HelpGoesToStdoutAndExitsWithZero) {
  const ParsedConfig parsed({"--help"});
  EXPECT_FALSE(parsed.config.has_value());
  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_EQ(parsed.err, "");
  for (const char* option :
       {"--model-repository DIR", "--listen ADDRESS [127.0.0.1:8500]", "--drain-grace DURATION [20s]",
        "--stream-window N [32]", "--config FILE", "Exit codes", "PREDICTD_LISTEN"}) {
    EXPECT_NE(parsed.out.find(option), std::string::npos) << option;
  }
}

TEST(ConfigHelpTest, HelpIsGivenWhateverElseIsWrong) {
  const ParsedConfig parsed({"--workers=two", "--help"}, {{"PREDICTD_WROKERS", "2"}, {"PREDICTD_CONFIG", "/no/such"}});
  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_NE(parsed.out.find("--workers N"), std::string::npos);
}

TEST(ConfigHelpTest, HelpFitsIntoAHundredAndTwentyColumns) {
  const ParsedConfig parsed({"--help"});
  std::istringstream lines(parsed.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 120U) << line;
}

TEST(ConfigHelpTest, VersionGoesToStdoutAndExitsWithZero) {
  const ParsedConfig parsed({"--version"});
  EXPECT_FALSE(parsed.config.has_value());
  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_EQ(parsed.out.rfind("predictd ", 0), 0U) << parsed.out;
}

}  // namespace
}  // namespace predictd
