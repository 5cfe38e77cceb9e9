#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/config/parsed_config.h"
#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

class ConfigSourcesTest : public testing::Test {
 protected:
  std::string File(const std::string& content) const {
    folder_.Write("predictd.toml", content);
    return (folder_.path() / "predictd.toml").string();
  }

  const TempFolder folder_;
};

TEST_F(ConfigSourcesTest, OnlyTheRepositoryIsRequiredAndTheRestHasDefaults) {
  const ParsedConfig parsed({"--model-repository", "models"});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->model_repository, "models");
  EXPECT_EQ(parsed.config->listen, "127.0.0.1:8500");
  EXPECT_EQ(parsed.config->metrics_listen, "127.0.0.1:8501");
  EXPECT_EQ(parsed.config->max_message_bytes, 64 << 20);
  EXPECT_EQ(parsed.config->stream_window, 32);
  EXPECT_EQ(parsed.config->drain_grace, absl::Seconds(20));
  EXPECT_EQ(parsed.config->trace_exporter, "none");
  EXPECT_EQ(parsed.out + parsed.err, "");
}

TEST_F(ConfigSourcesTest, WhoChecksAModelNeedsNoRepository) {
  const ParsedConfig parsed({"--check-model=models/digits"});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->check_model, "models/digits");
  EXPECT_EQ(parsed.config->model_repository, "");
  const ParsedConfig files({"--check-model-files=models/digits"});
  ASSERT_TRUE(files.config.has_value()) << files.err;
  EXPECT_EQ(files.config->check_model_files, "models/digits");
}

TEST_F(ConfigSourcesTest, EveryOptionIsReadFromFlags) {
  const ParsedConfig parsed({"--model-repository=r",
                             "--listen=0.0.0.0:1",
                             "--port-file=p",
                             "--metrics-listen=127.0.0.1:2",
                             "--metrics-port-file=q",
                             "--loops=3",
                             "--workers=4",
                             "--intra-op-threads=5",
                             "--default-deadline=250ms",
                             "--max-deadline=5m",
                             "--max-message-bytes=2MiB",
                             "--max-concurrent-streams=6",
                             "--stream-window=7",
                             "--stream-stall-timeout=1.5s",
                             "--drain-delay=1s",
                             "--drain-grace=2s",
                             "--log-level=debug",
                             "--log-format=json",
                             "--log-requests=all",
                             "--server-timing=none",
                             "--trace-exporter=file",
                             "--trace-endpoint=http://h:1",
                             "--trace-file=t",
                             "--trace-sample-ratio=0.5"});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  const ServerConfig& c = *parsed.config;
  EXPECT_EQ(c.listen + c.port_file + c.metrics_listen + c.metrics_port_file, "0.0.0.0:1p127.0.0.1:2q");
  EXPECT_EQ(c.loops, 3);
  EXPECT_EQ(c.workers, 4);
  EXPECT_EQ(c.intra_op_threads, 5);
  EXPECT_EQ(c.default_deadline, absl::Milliseconds(250));
  EXPECT_EQ(c.max_deadline, absl::Minutes(5));
  EXPECT_EQ(c.max_message_bytes, 2 << 20);
  EXPECT_EQ(c.max_concurrent_streams, 6);
  EXPECT_EQ(c.stream_window, 7);
  EXPECT_EQ(c.stream_stall_timeout, absl::Milliseconds(1500));
  EXPECT_EQ(c.drain_delay, absl::Seconds(1));
  EXPECT_EQ(c.drain_grace, absl::Seconds(2));
  EXPECT_EQ(c.log_level + c.log_format + c.log_requests + c.server_timing, "debugjsonallnone");
  EXPECT_EQ(c.trace_exporter + c.trace_endpoint + c.trace_file, "filehttp://h:1t");
  EXPECT_EQ(c.trace_sample_ratio, 0.5);
}

TEST_F(ConfigSourcesTest, EveryOptionIsReadFromTheEnvironment) {
  const ParsedConfig parsed({}, {{"PREDICTD_MODEL_REPOSITORY", "r"},
                                 {"PREDICTD_LISTEN", "127.0.0.1:1"},
                                 {"PREDICTD_STREAM_STALL_TIMEOUT", "9s"},
                                 {"PREDICTD_MAX_MESSAGE_BYTES", "4KiB"},
                                 {"PREDICTD_TRACE_SAMPLE_RATIO", "1"}});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->model_repository, "r");
  EXPECT_EQ(parsed.config->listen, "127.0.0.1:1");
  EXPECT_EQ(parsed.config->stream_stall_timeout, absl::Seconds(9));
  EXPECT_EQ(parsed.config->max_message_bytes, 4096);
  EXPECT_EQ(parsed.config->trace_sample_ratio, 1);
}

TEST_F(ConfigSourcesTest, OptionsAreReadFromTheFileThatAFlagNames) {
  const ParsedConfig parsed({"--config", File("# a comment\n"
                                              "model-repository = \"r\"\n"
                                              "listen = \"0.0.0.0:9\"\n"
                                              "workers = 3\n"
                                              "drain-grace = \"7s\"\n"
                                              "max-message-bytes = \"1MiB\"\n"
                                              "trace-sample-ratio = 0.25\n")});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->model_repository, "r");
  EXPECT_EQ(parsed.config->listen, "0.0.0.0:9");
  EXPECT_EQ(parsed.config->workers, 3);
  EXPECT_EQ(parsed.config->drain_grace, absl::Seconds(7));
  EXPECT_EQ(parsed.config->max_message_bytes, 1 << 20);
  EXPECT_EQ(parsed.config->trace_sample_ratio, 0.25);
}

TEST_F(ConfigSourcesTest, OptionsAreReadFromTheFileThatTheEnvironmentNames) {
  const ParsedConfig parsed({}, {{"PREDICTD_CONFIG", File("model-repository = \"r\"\nworkers = 3\n")}});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->model_repository, "r");
  EXPECT_EQ(parsed.config->workers, 3);
}

TEST_F(ConfigSourcesTest, FlagBeatsTheEnvironmentWhichBeatsTheFile) {
  const std::string file = File("model-repository = \"r\"\nworkers = 1\nloops = 1\nstream-window = 1\n");
  const ParsedConfig parsed({"--config", file, "--workers", "3"}, {{"PREDICTD_WORKERS", "2"}, {"PREDICTD_LOOPS", "2"}});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->workers, 3);
  EXPECT_EQ(parsed.config->loops, 2);
  EXPECT_EQ(parsed.config->stream_window, 1);
}

TEST_F(ConfigSourcesTest, DurationsFollowTheSameOrder) {
  const std::string file = File(
      "model-repository = \"r\"\ndrain-grace = \"1s\"\nmax-deadline = \"1s\"\n"
      "drain-delay = \"1s\"\n");
  const ParsedConfig parsed({"--config", file, "--drain-grace", "3s"},
                            {{"PREDICTD_DRAIN_GRACE", "2s"}, {"PREDICTD_MAX_DEADLINE", "2s"}});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->drain_grace, absl::Seconds(3));
  EXPECT_EQ(parsed.config->max_deadline, absl::Seconds(2));
  EXPECT_EQ(parsed.config->drain_delay, absl::Seconds(1));
}

TEST_F(ConfigSourcesTest, FileOfTheFlagBeatsTheFileOfTheEnvironment) {
  folder_.Write("other.toml", "model-repository = \"other\"\n");
  const ParsedConfig parsed({"--config", File("model-repository = \"r\"\n")},
                            {{"PREDICTD_CONFIG", (folder_.path() / "other.toml").string()}});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->model_repository, "r");
}

TEST_F(ConfigSourcesTest, AnEmptyValueIsAValueAndTakesNothingElse) {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--metrics-listen=", "--workers=3", "--model-repository=r"},
        std::vector<std::string>{"--metrics-listen", "", "--workers=3", "--model-repository=r"},
        std::vector<std::string>{"--workers=3", "--model-repository=r", "--metrics-listen="}}) {
    const ParsedConfig parsed(flags);
    ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
    EXPECT_EQ(parsed.config->metrics_listen, "");
    EXPECT_EQ(parsed.config->workers, 3);
    EXPECT_EQ(parsed.config->model_repository, "r");
  }
}

TEST_F(ConfigSourcesTest, ValuesAreTakenAsTheyAre) {
  const ParsedConfig parsed(
      {"--model-repository=--models", "--port-file", "-p", "--trace-file=[a,b]=c", "--listen", "localhost:1"});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->model_repository, "--models");
  EXPECT_EQ(parsed.config->port_file, "-p");
  EXPECT_EQ(parsed.config->trace_file, "[a,b]=c");
}

TEST_F(ConfigSourcesTest, TomlIsReadAsTomlSays) {
  const ParsedConfig parsed({"--config", File("\xEF\xBB\xBF"
                                              "model-repository = \"\"\"r\"\"\"\nworkers = 0x3\nloops = 0o3\n"
                                              "max-message-bytes = 67_108_864\ntrace-sample-ratio = 1\n"
                                              "\"stream-window\" = 5 # a comment\nport-file = 'a\\b'\n")});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->model_repository, "r");
  EXPECT_EQ(parsed.config->workers, 3);
  EXPECT_EQ(parsed.config->loops, 3);
  EXPECT_EQ(parsed.config->max_message_bytes, 67'108'864);
  EXPECT_EQ(parsed.config->trace_sample_ratio, 1);
  EXPECT_EQ(parsed.config->stream_window, 5);
  EXPECT_EQ(parsed.config->port_file, "a\\b");
}

TEST_F(ConfigSourcesTest, OperatorLibrariesAreAList) {
  using Files = std::vector<std::string>;
  const Files files = {"a.so", "b.so", "c.so"};
  const ParsedConfig flags(
      {"--model-repository=r", "--operator-library=a.so", "--unpack-dir=u", "--operator-library", "b.so:c.so"},
      {{"PREDICTD_OPERATOR_LIBRARY", "d.so"}});
  ASSERT_TRUE(flags.config.has_value()) << flags.err;
  EXPECT_EQ(flags.config->operator_libraries, files);
  EXPECT_EQ(flags.config->unpack_dir, "u");
  const ParsedConfig variable({"--model-repository=r"}, {{"PREDICTD_OPERATOR_LIBRARY", "a.so:b.so:c.so:"}});
  ASSERT_TRUE(variable.config.has_value()) << variable.err;
  EXPECT_EQ(variable.config->operator_libraries, files);
  for (const char* value : {R"(["a.so", "b.so", "c.so"])", R"("a.so:b.so:c.so")"}) {
    const ParsedConfig file({"--model-repository=r", "--config", File(absl::StrCat("operator-library = ", value))});
    ASSERT_TRUE(file.config.has_value()) << file.err;
    EXPECT_EQ(file.config->operator_libraries, files);
  }
  const ParsedConfig wrong({"--model-repository=r", "--config", File("operator-library = [1]")});
  EXPECT_NE(wrong.err.find("--operator-library: expected names of files"), std::string::npos) << wrong.err;
}

TEST_F(ConfigSourcesTest, DurationsBeyondACenturyAreACentury) {
  const absl::Duration century = absl::Hours(100 * 365 * 24);
  const ParsedConfig parsed({"--model-repository=r", "--max-deadline=3000000h", "--drain-grace=2562047h",
                             "--drain-delay=9999999999h", "--default-deadline=876000h"});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->max_deadline, century);
  EXPECT_EQ(parsed.config->drain_grace, century);
  EXPECT_EQ(parsed.config->drain_delay, century);
  EXPECT_EQ(parsed.config->default_deadline, century);
}

TEST_F(ConfigSourcesTest, VariablesOfKubernetesAndOfOtherProgramsAreNoOptions) {
  const ParsedConfig parsed({"--model-repository=r"}, {{"PREDICTD_SERVICE_HOST", "10.0.0.1"},
                                                       {"PREDICTD_SERVICE_PORT", "8500"},
                                                       {"PREDICTD_SERVICE_PORT_GRPC_WEB", "8500"},
                                                       {"PREDICTD_PORT", "tcp://10.0.0.1:8500"},
                                                       {"PREDICTD_PORT_8500_TCP", "tcp://10.0.0.1:8500"},
                                                       {"PREDICTD_PORT_8500_TCP_PROTO", "tcp"},
                                                       {"PREDICTD_PORT_8500_TCP_PORT", "8500"},
                                                       {"PREDICTD_PORT_8500_TCP_ADDR", "10.0.0.1"},
                                                       {"PREDICTD_CANARY_PORT_53_UDP", "udp://10.0.0.1:53"},
                                                       {"PREDICTD_ADDRESS", "localhost:8500"},
                                                       {"PREDICTD_KERNELS", "lib"}});
  EXPECT_TRUE(parsed.config.has_value()) << parsed.err;
}

TEST_F(ConfigSourcesTest, MetricsCanBeSwitchedOff) {
  const ParsedConfig parsed({"--model-repository", "r", "--metrics-listen", ""});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->metrics_listen, "");
}

}  // namespace
}  // namespace predictd
