#include "server/telemetry/metrics_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace predictd {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

// The whole answer to an HTTP/1.0 GET.
std::string Get(int port, const std::string& path) {
  const int fd = Connect(port);
  const std::string request = "GET " + path + " HTTP/1.0\r\nHost: localhost\r\n\r\n";
  EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  std::array<char, 4096> buffer;
  ssize_t size = 0;
  while ((size = read(fd, buffer.data(), buffer.size())) > 0) answer.append(buffer.data(), size);
  close(fd);
  return answer;
}

TEST(MetricsServerTest, AnswersScrapesWithCurrentValuesOnAFreePort) {
  MetricsRegistry registry;
  Counter& counter = registry.AddCounter("predictd_requests_total", "Calls.", {"code"}).With({"OK"});
  const auto server = ServeMetrics(registry, "127.0.0.1:0");
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_GT((*server)->port(), 0);
  counter.Increment(41);
  EXPECT_THAT(Get((*server)->port(), "/metrics"), HasSubstr("predictd_requests_total{code=\"OK\"} 41\n"));
  counter.Increment();
  const std::string answer = Get((*server)->port(), "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain"));
  EXPECT_THAT(answer, HasSubstr("predictd_requests_total{code=\"OK\"} 42\n"));
  EXPECT_THAT(Get((*server)->port(), "/other"), HasSubstr(" 404 Not Found\r\n"));
}

TEST(MetricsServerTest, ASecondListenerOnThePortIsRefusedWithTheAddress) {
  MetricsRegistry registry;
  const auto first = ServeMetrics(registry, "127.0.0.1:0");
  ASSERT_TRUE(first.ok());
  const std::string address = "127.0.0.1:" + std::to_string((*first)->port());
  const auto second = ServeMetrics(registry, address);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(second.status().message(), "metrics address " + address + " cannot be listened on: Address already in use");
}

TEST(MetricsServerTest, MalformedAddressesAreNamed) {
  MetricsRegistry registry;
  for (const std::string address :
       {"", "9090", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:90x", "127.0.0.1:9090s", "0:9090",
        "127.0.0.1:9090,0.0.0.0:9091", "[::1:9090", "127.0.0.1:-1"}) {
    const auto server = ServeMetrics(registry, address);
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(server.status().message()), HasSubstr("'" + address + "'"));
  }
}

}  // namespace
}  // namespace predictd
