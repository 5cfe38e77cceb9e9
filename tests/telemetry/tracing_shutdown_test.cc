#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "server/telemetry/log.h"
#include "server/telemetry/tracing.h"
#include "tests/telemetry/captured_stderr.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;

// A socket of the loopback interface. One that listens takes connections and never answers; one that does not refuses
// them, and keeps its port from being used by others.
class Socket {
 public:
  explicit Socket(bool listening) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    if (listening) {
      EXPECT_EQ(listen(fd_, 16), 0);
    }
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    endpoint_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~Socket() { close(fd_); }

  const std::string& endpoint() const { return endpoint_; }

 private:
  const int fd_;
  std::string endpoint_;
};

std::unique_ptr<Tracer> MakeTracer(const std::string& endpoint) {
  absl::StatusOr<std::unique_ptr<Tracer>> tracer = Tracer::Create({.exporter = TraceExporter::kOtlpGrpc,
                                                                   .otlp_endpoint = endpoint,
                                                                   .sample_ratio = 1,
                                                                   .export_timeout = absl::Milliseconds(500)});
  EXPECT_TRUE(tracer.ok()) << tracer.status();
  return *std::move(tracer);
}

// Makes `calls` spans, which must not wait for the collector.
void MakeSpans(Tracer& tracer, int calls) {
  steady_clock::duration slowest{};
  for (int i = 0; i < calls; ++i) {
    const steady_clock::time_point start = steady_clock::now();
    tracer
        .StartCall({.rpc_service = "s.S",
                    .rpc_method = "M",
                    .system_time = std::chrono::system_clock::now(),
                    .steady_time = start})
        ->End(0, "");
    slowest = std::max(slowest, steady_clock::now() - start);
  }
  EXPECT_LT(slowest, std::chrono::milliseconds(400));
}

TEST(TracingShutdownTest, ABlackHoledCollectorNeitherBlocksCallsNorTheShutdown) {
  CapturedStderr captured;
  InitLogging({});
  const Socket silent(/*listening=*/true);
  const std::unique_ptr<Tracer> tracer = MakeTracer(silent.endpoint());
  MakeSpans(*tracer, 20000);
  const steady_clock::time_point start = steady_clock::now();
  EXPECT_EQ(tracer->Shutdown(absl::Seconds(1)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(steady_clock::now() - start, std::chrono::milliseconds(2500));
  ShutdownLogging();
  // No span is lost without being counted.
  const SpanCounts& counts = tracer->counts();
  EXPECT_GE(counts.queue_full, 20000U - 8192 - 512);
  EXPECT_EQ(counts.queue_full + counts.not_exported, 20000U);
  EXPECT_EQ(counts.exported, 0U);
  // The failures are in our log, a few times and not once per span.
  const std::string log = captured.Finish();
  EXPECT_THAT(log, HasSubstr("OpenTelemetry reports a problem"));
  EXPECT_LE(std::count(log.begin(), log.end(), '\n'), 30);
}

TEST(TracingShutdownTest, ACollectorThatRefusesConnectionsEndsAsFast) {
  CapturedStderr captured;
  InitLogging({});
  const Socket refusing(/*listening=*/false);
  const std::unique_ptr<Tracer> tracer = MakeTracer(refusing.endpoint());
  MakeSpans(*tracer, 100);
  const steady_clock::time_point start = steady_clock::now();
  tracer->Shutdown(absl::Seconds(1)).IgnoreError();
  EXPECT_LT(steady_clock::now() - start, std::chrono::milliseconds(2500));
  ShutdownLogging();
}

TEST(TracingShutdownTest, TheDestructorDoesNotWaitForASilentCollector) {
  CapturedStderr captured;
  const Socket silent(/*listening=*/true);
  std::unique_ptr<Tracer> tracer = MakeTracer(silent.endpoint());
  MakeSpans(*tracer, 2000);
  const steady_clock::time_point start = steady_clock::now();
  tracer.reset();
  EXPECT_LT(steady_clock::now() - start, std::chrono::milliseconds(2000));
}

}  // namespace
}  // namespace predictd
