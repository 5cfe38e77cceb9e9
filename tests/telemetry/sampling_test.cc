#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "server/telemetry/tracing.h"

namespace predictd {
namespace {

constexpr std::string_view kSampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view kNotSampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
constexpr std::string_view kMalformed = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";

class SamplingTest : public ::testing::Test {
 protected:
  ~SamplingTest() override { std::filesystem::remove(file_); }

  std::unique_ptr<Tracer> MakeTracer(double ratio, TraceExporter exporter = TraceExporter::kFile) {
    absl::StatusOr<std::unique_ptr<Tracer>> tracer =
        Tracer::Create({.exporter = exporter, .file = file_, .sample_ratio = ratio});
    EXPECT_TRUE(tracer.ok()) << tracer.status();
    return *std::move(tracer);
  }

  // How many of `calls` calls are sampled.
  static int CountSampled(Tracer& tracer, std::string_view traceparent, int calls) {
    int sampled = 0;
    for (int i = 0; i < calls; ++i) {
      const std::unique_ptr<CallSpan> span = tracer.StartCall({.rpc_service = "s.S",
                                                               .rpc_method = "M",
                                                               .traceparent = traceparent,
                                                               .system_time = std::chrono::system_clock::now(),
                                                               .steady_time = std::chrono::steady_clock::now()});
      if (span != nullptr) ++sampled;
    }
    return sampled;
  }

  const std::string file_ = ::testing::TempDir() + "sampling_test_" + std::to_string(getpid()) + ".json";
};

TEST_F(SamplingTest, TheParentDecidesWhateverTheRatio) {
  EXPECT_EQ(CountSampled(*MakeTracer(0), kSampled, 100), 100);
  EXPECT_EQ(CountSampled(*MakeTracer(1), kNotSampled, 100), 0);
}

TEST_F(SamplingTest, ParentsDecideForSoManyCallsASecondAndTheRatioForTheRest) {
  TraceOptions options = {
      .exporter = TraceExporter::kFile, .file = file_, .sample_ratio = 0, .max_forced_per_second = 3};
  auto tracer = Tracer::Create(options);
  ASSERT_TRUE(tracer.ok());
  const auto start = [&tracer](std::chrono::steady_clock::time_point now) {
    return (*tracer)->StartCall({.rpc_service = "s.S",
                                 .rpc_method = "M",
                                 .traceparent = kSampled,
                                 .system_time = std::chrono::system_clock::now(),
                                 .steady_time = now}) != nullptr;
  };
  const std::chrono::steady_clock::time_point now(std::chrono::hours(1));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(start(now));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(start(now + std::chrono::milliseconds(999)));
  EXPECT_EQ((*tracer)->counts().calls_over_limit, 10U);
  EXPECT_TRUE(start(now + std::chrono::seconds(1)));

  options.sample_ratio = 1;
  options.max_forced_per_second = 0;
  tracer = Tracer::Create(options);
  ASSERT_TRUE(tracer.ok());
  EXPECT_TRUE(start(now));
  EXPECT_EQ((*tracer)->counts().calls_over_limit, 0U);
}

TEST_F(SamplingTest, TheRatioDecidesWithoutAParent) {
  EXPECT_EQ(CountSampled(*MakeTracer(0), "", 1000), 0);
  EXPECT_EQ(CountSampled(*MakeTracer(1), "", 1000), 1000);
  // Five standard deviations around 2,000.
  const int sampled = CountSampled(*MakeTracer(0.1), "", 20000);
  EXPECT_GT(sampled, 1788);
  EXPECT_LT(sampled, 2212);
}

TEST_F(SamplingTest, AMalformedParentIsNoParent) {
  EXPECT_EQ(CountSampled(*MakeTracer(0), kMalformed, 100), 0);
  EXPECT_EQ(CountSampled(*MakeTracer(1), kMalformed, 100), 100);
}

TEST_F(SamplingTest, NothingIsSampledWithoutAnExporter) {
  EXPECT_EQ(CountSampled(*MakeTracer(1, TraceExporter::kNone), kSampled, 100), 0);
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(SamplingTest, NothingIsSampledAfterTheShutdown) {
  const std::unique_ptr<Tracer> tracer = MakeTracer(1);
  EXPECT_TRUE(tracer->Shutdown(absl::Seconds(10)).ok());
  EXPECT_EQ(CountSampled(*tracer, kSampled, 100), 0);
}

TEST_F(SamplingTest, OptionsThatMakeNoSenseAreRefused) {
  const auto code = [this](TraceOptions options) {
    if (options.file.empty()) options.file = file_;
    return Tracer::Create(options).status().code();
  };
  EXPECT_EQ(code({.sample_ratio = -0.1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.sample_ratio = 1.1}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.sample_ratio = std::nan("")}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.batch_delay = absl::ZeroDuration()}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({.exporter = TraceExporter::kFile, .file = "/nowhere/trace.json"}), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code({.exporter = TraceExporter::kFile, .file = "/dev/null"}), absl::StatusCode::kInvalidArgument);
  for (const std::string endpoint :
       {"", "localhost:4317", "http://localhost", "ftp://localhost:4317", "http://:4317", "http://localhost:none"}) {
    EXPECT_EQ(code({.exporter = TraceExporter::kOtlpGrpc, .otlp_endpoint = endpoint}),
              absl::StatusCode::kInvalidArgument)
        << endpoint;
  }
}

}  // namespace
}  // namespace predictd
