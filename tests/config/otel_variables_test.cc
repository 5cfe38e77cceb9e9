#include "server/config/otel_variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/config/parsed_config.h"
#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

using Settings = std::map<std::string, std::string>;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Added {
  Settings settings;
  std::vector<std::string> warnings = {};
};

Added Add(const std::vector<std::string>& variables, Settings settings = {}) {
  std::vector<const char*> environment;
  for (const std::string& variable : variables) environment.push_back(variable.c_str());
  environment.push_back(nullptr);
  Added added{.settings = std::move(settings)};
  added.warnings = AddOtelSettings(environment.data(), added.settings);
  return added;
}

struct OtelCase {
  std::vector<std::string> variables;
  Settings settings;
};

std::ostream& operator<<(std::ostream& out, const OtelCase& c) {
  for (const std::string& variable : c.variables) out << variable << " ";
  return out;
}

class OtelVariablesTest : public testing::TestWithParam<OtelCase> {};

TEST_P(OtelVariablesTest, BecomeTheSettingsOfTheTable) {
  const Added added = Add(GetParam().variables);
  EXPECT_EQ(added.settings, GetParam().settings);
  EXPECT_THAT(added.warnings, IsEmpty());
}

Settings Otlp(Settings more = {}) {
  more["trace-exporter"] = "otlp";
  return more;
}

Settings Endpoint(const std::string& endpoint) {
  return Otlp({{"trace-endpoint", endpoint}});
}

const std::string kEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317";

INSTANTIATE_TEST_SUITE_P(
    Table, OtelVariablesTest,
    testing::Values(
        OtelCase{{}, {}}, OtelCase{{"OTEL_SERVICE_NAME=x", "OTEL_EXPORTER_OTLP_ENDPOINT="}, {}},
        OtelCase{{kEndpoint}, Endpoint("http://c:4317")},
        OtelCase{{kEndpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://t:1/"}, Endpoint("https://t:1")},
        OtelCase{{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector"}, Endpoint("http://collector:4317")},
        OtelCase{{"OTEL_EXPORTER_OTLP_ENDPOINT=http://[::1]"}, Endpoint("http://[::1]:4317")},
        OtelCase{{"OTEL_EXPORTER_OTLP_ENDPOINT=c:7"}, Endpoint("https://c:7")},
        OtelCase{{"OTEL_EXPORTER_OTLP_ENDPOINT=c:7", "OTEL_EXPORTER_OTLP_INSECURE=True"}, Endpoint("http://c:7")},
        OtelCase{{kEndpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, Endpoint("http://c:4317")},
        OtelCase{{"OTEL_TRACES_EXPORTER=otlp"}, Otlp()}, OtelCase{{"OTEL_TRACES_EXPORTER=console, otlp"}, Otlp()},
        OtelCase{{kEndpoint, "OTEL_TRACES_EXPORTER=none"}, {}}, OtelCase{{kEndpoint, "OTEL_SDK_DISABLED=TRUE"}, {}},
        OtelCase{{kEndpoint, "OTEL_SDK_DISABLED=false"}, Endpoint("http://c:4317")},
        OtelCase{{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_TIMEOUT=1500"}, Otlp({{"trace-timeout", "1.5s"}})},
        OtelCase{{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_TIMEOUT=10000"}, Otlp({{"trace-timeout", "4s"}})},
        OtelCase{{"OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=parentbased_always_on"},
                 Otlp({{"trace-sample-ratio", "1"}})},
        OtelCase{{"OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=always_off"},
                 Otlp({{"trace-sample-ratio", "0"}, {"trace-max-forced-per-second", "0"}})},
        OtelCase{{"OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=parentbased_traceidratio",
                  "OTEL_TRACES_SAMPLER_ARG=0.25"},
                 Otlp({{"trace-sample-ratio", "0.25"}})},
        OtelCase{{"OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=traceidratio"},
                 Otlp({{"trace-sample-ratio", "1"}, {"trace-max-forced-per-second", "0"}})}));

class WrongOtelVariableTest : public testing::TestWithParam<OtelCase> {};

TEST_P(WrongOtelVariableTest, IsPassedOverAndNamed) {
  const Added added = Add(GetParam().variables);
  EXPECT_EQ(added.settings, GetParam().settings);
  EXPECT_THAT(added.warnings, ElementsAre(HasSubstr(GetParam().variables.back())));
}

INSTANTIATE_TEST_SUITE_P(
    Table, WrongOtelVariableTest,
    testing::Values(OtelCase{{"OTEL_TRACES_EXPORTER=console"}, {}},
                    OtelCase{{kEndpoint, "OTEL_TRACES_EXPORTER=jaeger"}, {}},
                    OtelCase{{"OTEL_EXPORTER_OTLP_ENDPOINT=unix:///x"}, {}},
                    OtelCase{{"OTEL_EXPORTER_OTLP_ENDPOINT=http://"}, {}},
                    OtelCase{{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:port"}, {}},
                    OtelCase{{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/v1/traces"}, {}},
                    OtelCase{{kEndpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, {}},
                    OtelCase{{kEndpoint, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=soon"}, Endpoint("http://c:4317")},
                    OtelCase{{kEndpoint, "OTEL_EXPORTER_OTLP_TIMEOUT=0"}, Endpoint("http://c:4317")},
                    OtelCase{{kEndpoint, "OTEL_TRACES_SAMPLER=jaeger_remote"}, Endpoint("http://c:4317")},
                    OtelCase{{kEndpoint, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=2"},
                             Endpoint("http://c:4317")}));

TEST(OtelVariablesOrderTest, EveryOtherSourceComesFirst) {
  const std::vector<std::string> variables = {kEndpoint, "OTEL_TRACES_SAMPLER=parentbased_always_on"};
  const Settings none = {{"trace-exporter", "none"}};
  EXPECT_EQ(Add(variables, none).settings, none);
  const Settings own = {{"trace-exporter", "otlp"}, {"trace-endpoint", "http://own:1"}, {"trace-sample-ratio", "0.5"}};
  EXPECT_EQ(Add(variables, own).settings, own);
  EXPECT_EQ(Add(variables, {{"trace-exporter", "otlp"}}).settings,
            (Settings{{"trace-exporter", "otlp"}, {"trace-endpoint", "http://c:4317"}, {"trace-sample-ratio", "1"}}));
}

TEST(OtelVariablesOrderTest, AFlagThatAsksForOtlpIsNotUndoneByAnotherProtocol) {
  const Added added = Add({"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, {{"trace-exporter", "otlp"}});
  EXPECT_EQ(added.settings, (Settings{{"trace-exporter", "otlp"}}));
  EXPECT_THAT(added.warnings, ElementsAre(HasSubstr("OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")));
}

TEST(OtelVariablesOrderTest, TheyBeatDefaultsAndLoseToTheFile) {
  const std::map<std::string, std::string> environment = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"},
                                                          {"OTEL_TRACES_SAMPLER", "parentbased_always_on"},
                                                          {"OTEL_EXPORTER_OTLP_TIMEOUT", "never"}};
  const ParsedConfig parsed({"--model-repository=r"}, environment);
  ASSERT_TRUE(parsed.config.has_value()) << parsed.err;
  EXPECT_EQ(parsed.config->trace_exporter, "otlp");
  EXPECT_EQ(parsed.config->trace_endpoint, "http://c:4317");
  EXPECT_EQ(parsed.config->trace_sample_ratio, 1);
  EXPECT_EQ(parsed.config->trace_timeout, absl::Seconds(2));
  EXPECT_THAT(parsed.config->warnings, ElementsAre(HasSubstr("OTEL_EXPORTER_OTLP_TIMEOUT=never")));
  const TempFolder folder;
  folder.Write("predictd.toml", "trace-sample-ratio = 0.5\n");
  const std::string file = (folder.path() / "predictd.toml").string();
  EXPECT_EQ(ParsedConfig({"--model-repository=r", "--config", file}, environment).config->trace_sample_ratio, 0.5);
}

}  // namespace
}  // namespace predictd
