#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "server/telemetry/tracing.h"

namespace predictd {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr std::string_view kParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr int kKindInternal = 1;
constexpr int kKindServer = 2;
constexpr int kStatusError = 2;

// Calls on a tracer that writes to a file, and the spans that are in the file after the shutdown.
class SpanTest : public ::testing::Test {
 protected:
  SpanTest() { MakeTracer({}); }
  ~SpanTest() override { std::filesystem::remove(file_); }

  void MakeTracer(TraceOptions options) {
    options.exporter = TraceExporter::kFile;
    options.file = file_;
    options.sample_ratio = 1;
    options.service_version = "1.2.3";
    options.service_instance_id = "replica-1";
    absl::StatusOr<std::unique_ptr<Tracer>> tracer = Tracer::Create(options);
    ASSERT_TRUE(tracer.ok()) << tracer.status();
    tracer_ = *std::move(tracer);
  }

  std::unique_ptr<CallSpan> StartCall(std::string_view traceparent = "", std::string_view tracestate = "") {
    return tracer_->StartCall({.rpc_service = "predictd.v1.PredictionService",
                               .rpc_method = "Predict",
                               .peer = [] { return "ipv4:10.0.0.7:51234"; },
                               .traceparent = traceparent,
                               .tracestate = tracestate,
                               .system_time = kSystem,
                               .steady_time = steady_});
  }

  // Shuts down and returns the spans by name; each also holds its attributes as an object, under "flat".
  std::map<std::string, Json> Spans() {
    EXPECT_TRUE(tracer_->Shutdown(absl::Seconds(10)).ok());
    std::map<std::string, Json> spans;
    std::ifstream in(file_);
    for (std::string line; std::getline(in, line);) {
      const Json resource_spans = Json::parse(line)["resourceSpans"][0];
      resource_ = Flatten(resource_spans["resource"]["attributes"]);
      for (Json span : resource_spans["scopeSpans"][0]["spans"]) {
        span["flat"] = Flatten(span["attributes"]);
        spans[span["name"]] = span;
      }
    }
    return spans;
  }

  static Json Flatten(const Json& attributes) {
    Json flat = Json::object();
    for (const Json& attribute : attributes) flat[attribute["key"]] = attribute["value"].begin().value();
    return flat;
  }

  static std::string UnixNanos(std::chrono::nanoseconds since_start) {
    return std::to_string((std::chrono::nanoseconds(kSystem.time_since_epoch()) + since_start).count());
  }

  static constexpr std::chrono::system_clock::time_point kSystem{std::chrono::nanoseconds(1767323045123456789)};
  const std::chrono::steady_clock::time_point steady_ = std::chrono::steady_clock::now();
  const std::string file_ = ::testing::TempDir() + "span_test_" + std::to_string(getpid()) + ".json";
  std::unique_ptr<Tracer> tracer_;
  Json resource_;
};

const std::string kName = "predictd.v1.PredictionService/Predict";

TEST_F(SpanTest, ACallFollowsTheRpcConventions) {
  const std::unique_ptr<CallSpan> call = StartCall();
  call->SetAttribute("predictd.model", "digits");
  call->SetAttribute("predictd.batch_size", 8);
  call->SetAttribute("predictd.queue_seconds", 0.25);
  call->SetAttribute("predictd.warm", true);
  const std::string trace_id(call->trace_id());
  call->End(0, "");
  const Json span = Spans()[kName];
  EXPECT_EQ(span["kind"], kKindServer);
  EXPECT_EQ(span["traceId"], trace_id);
  EXPECT_EQ(trace_id.size(), 32U);
  EXPECT_FALSE(span.contains("parentSpanId"));
  EXPECT_FALSE(span.contains("status"));
  EXPECT_EQ(span["startTimeUnixNano"], UnixNanos(milliseconds(0)));
  EXPECT_EQ(span["flat"]["rpc.system"], "grpc");
  EXPECT_EQ(span["flat"]["rpc.service"], "predictd.v1.PredictionService");
  EXPECT_EQ(span["flat"]["rpc.method"], "Predict");
  EXPECT_EQ(span["flat"]["rpc.grpc.status_code"], "0");
  EXPECT_EQ(span["flat"]["client.address"], "10.0.0.7");
  EXPECT_EQ(span["flat"]["client.port"], "51234");
  EXPECT_EQ(span["flat"]["predictd.model"], "digits");
  EXPECT_EQ(span["flat"]["predictd.batch_size"], "8");
  EXPECT_EQ(span["flat"]["predictd.queue_seconds"], 0.25);
  EXPECT_EQ(span["flat"]["predictd.warm"], true);
  EXPECT_EQ(resource_["service.name"], "predictd");
  EXPECT_EQ(resource_["service.version"], "1.2.3");
  EXPECT_EQ(resource_["service.instance.id"], "replica-1");
}

TEST_F(SpanTest, ACallContinuesTheCallersTrace) {
  const std::unique_ptr<CallSpan> call = StartCall(kParent, "vendor=value,other=1");
  EXPECT_EQ(call->trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
  call->End(0, "");
  const Json span = Spans()[kName];
  EXPECT_EQ(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(span["parentSpanId"], "00f067aa0ba902b7");
  EXPECT_NE(span["spanId"], "00f067aa0ba902b7");
  EXPECT_EQ(span["traceState"], "vendor=value,other=1");
}

TEST_F(SpanTest, ABadTracestateIsLeftOutAndTheTraceGoesOn) {
  StartCall(kParent, std::string(100000, 'x') + "=1")->End(0, "");
  const Json span = Spans()[kName];
  EXPECT_EQ(span["parentSpanId"], "00f067aa0ba902b7");
  EXPECT_FALSE(span.contains("traceState"));
}

TEST_F(SpanTest, PhasesAreChildrenWithTheirOwnTimes) {
  const std::unique_ptr<CallSpan> call = StartCall(kParent);
  call->AddPhase("decode", steady_, steady_ + milliseconds(1));
  call->AddPhase("queue", steady_ + milliseconds(1), steady_ + milliseconds(5), {{"predictd.queue_depth", 3}});
  call->AddPhase("forward", steady_ + milliseconds(5), steady_ + milliseconds(25), {{"predictd.batch_size", 4}});
  call->AddPhase("respond", steady_ + milliseconds(25), steady_ + milliseconds(26));
  call->End(0, "");
  call->AddPhase("late", steady_, steady_ + milliseconds(1));
  std::map<std::string, Json> spans = Spans();
  EXPECT_EQ(spans.size(), 5U);
  for (const std::string name : {"decode", "queue", "forward", "respond"}) {
    EXPECT_EQ(spans[name]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(spans[name]["parentSpanId"], spans[kName]["spanId"]);
    EXPECT_EQ(spans[name]["kind"], kKindInternal);
  }
  EXPECT_EQ(spans["queue"]["startTimeUnixNano"], UnixNanos(milliseconds(1)));
  EXPECT_EQ(spans["queue"]["endTimeUnixNano"], UnixNanos(milliseconds(5)));
  EXPECT_EQ(spans["queue"]["flat"]["predictd.queue_depth"], "3");
  EXPECT_EQ(spans["forward"]["startTimeUnixNano"], UnixNanos(milliseconds(5)));
  EXPECT_EQ(spans["forward"]["endTimeUnixNano"], UnixNanos(milliseconds(25)));
}

TEST_F(SpanTest, OnlyTheServersFaultsAreErrors) {
  for (int code = 0; code <= 16; ++code) StartCall()->End(code, "message " + std::to_string(code));
  EXPECT_TRUE(tracer_->Shutdown(absl::Seconds(10)).ok());
  std::ifstream in(file_);
  int seen = 0;
  for (std::string line; std::getline(in, line);) {
    const Json traces = Json::parse(line);
    for (const Json& span : traces["resourceSpans"][0]["scopeSpans"][0]["spans"]) {
      const Json flat = Flatten(span["attributes"]);
      const int code = std::stoi(flat["rpc.grpc.status_code"].get<std::string>());
      const bool fault = code == 2 || code == 4 || code == 12 || code == 13 || code == 14 || code == 15;
      EXPECT_EQ(span.contains("status"), fault) << code;
      if (fault) {
        EXPECT_EQ(span["status"]["code"], kStatusError);
        EXPECT_EQ(span["status"]["message"], "message " + std::to_string(code));
      } else {
        EXPECT_EQ(flat["predictd.status_message"], "message " + std::to_string(code));
      }
      ++seen;
    }
  }
  EXPECT_EQ(seen, 17);
}

TEST_F(SpanTest, EventsAreBounded) {
  const std::unique_ptr<CallSpan> call = StartCall();
  for (int i = 0; i < 1000; ++i) call->AddEvent("chunk");
  call->End(0, "");
  const Json span = Spans()[kName];
  ASSERT_EQ(span["events"].size(), 128U);
  EXPECT_EQ(span["events"][0]["name"], "chunk");
  EXPECT_GE(span["events"][0]["timeUnixNano"].get<std::string>(), UnixNanos(milliseconds(0)));
  EXPECT_LT(span["events"][0]["timeUnixNano"].get<std::string>(), UnixNanos(std::chrono::minutes(1)));
  EXPECT_EQ(span["flat"]["predictd.dropped_events"], "872");
}

TEST_F(SpanTest, AnAbandonedCallIsUnknown) {
  StartCall();
  const Json span = Spans()[kName];
  EXPECT_EQ(span["flat"]["rpc.grpc.status_code"], "2");
  EXPECT_EQ(span["status"]["code"], kStatusError);
}

TEST_F(SpanTest, TheFirstEndCounts) {
  const std::unique_ptr<CallSpan> call = StartCall();
  call->End(5, "no such model");
  call->End(13, "second");
  EXPECT_EQ(Spans()[kName]["flat"]["rpc.grpc.status_code"], "5");
}

TEST_F(SpanTest, HostileStringsLeaveTheFileParseable) {
  const std::unique_ptr<CallSpan> call = StartCall();
  call->SetAttribute("predictd.request_id", "a\nb\xFF\"\\" + std::string(10000, 'x'));
  call->AddEvent("\xC0\x8A\n");
  call->End(13, "bad \xFE message\n");
  const Json span = Spans()[kName];
  EXPECT_EQ(span["flat"]["predictd.request_id"].get<std::string>().substr(0, 9), "a\nb\xEF\xBF\xBD\"\\x");
  EXPECT_LE(span["flat"]["predictd.request_id"].get<std::string>().size(), 2048U);
  EXPECT_EQ(span["status"]["message"], "bad \xEF\xBF\xBD message\n");
}

TEST_F(SpanTest, ASpanMayOutliveTheTracer) {
  const std::unique_ptr<CallSpan> call = StartCall();
  EXPECT_TRUE(Spans().empty());
  tracer_.reset();
  call->AddPhase("forward", steady_, steady_ + milliseconds(1));
  call->End(0, "");
}

TEST_F(SpanTest, TheFileIsAppendedTo) {
  StartCall()->End(0, "");
  EXPECT_EQ(Spans().size(), 1U);
  const auto size = std::filesystem::file_size(file_);
  MakeTracer({});
  for (int i = 0; i < 4; ++i) StartCall()->End(0, "");
  EXPECT_EQ(Spans().size(), 1U);  // all of one name
  EXPECT_GT(std::filesystem::file_size(file_), size);
  EXPECT_EQ(tracer_->counts().exported, 4U);
}

TEST_F(SpanTest, AFullFileMakesRoomAndTheOldestGo) {
  // Each tracer writes one batch of one span, of more than half a file.
  const std::string large(1500, 'x');
  for (int i = 0; i < 5; ++i) {
    MakeTracer({.max_file_bytes = 4000, .older_files = 2});
    const auto call = StartCall();
    call->SetAttribute("number", i);
    call->SetAttribute("large", large);
    call->End(0, "");
    ASSERT_TRUE(tracer_->Shutdown(absl::Seconds(10)).ok());
    EXPECT_EQ(tracer_->counts().exported, 1U);
  }
  const auto number_in = [](const std::string& file) {
    std::ifstream in(file);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    constexpr std::string_view kBefore = R"("number","value":{"intValue":")";
    const size_t at = text.find(kBefore);
    return at == std::string::npos ? "no number in " + text : text.substr(at + kBefore.size(), 1);
  };
  EXPECT_EQ(number_in(file_), "4");
  EXPECT_EQ(number_in(file_ + ".1"), "3");
  EXPECT_EQ(number_in(file_ + ".2"), "2");
  EXPECT_FALSE(std::filesystem::exists(file_ + ".3"));
  for (const char* end : {"", ".1", ".2"}) EXPECT_LE(std::filesystem::file_size(file_ + end), 4000U);
  std::filesystem::remove(file_ + ".1");
  std::filesystem::remove(file_ + ".2");
}

TEST_F(SpanTest, ABatchLargerThanAFileIsDroppedAndCounted) {
  MakeTracer({.max_file_bytes = 100, .older_files = 0});
  StartCall()->End(0, "");
  EXPECT_TRUE(Spans().empty());
  EXPECT_EQ(tracer_->counts().not_exported, 1U);
  EXPECT_EQ(tracer_->counts().exported, 0U);
}

}  // namespace
}  // namespace predictd
