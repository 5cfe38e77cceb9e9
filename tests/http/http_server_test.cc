#include "server/http/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace predictd {
namespace {

using std::chrono::steady_clock;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kGet[] = "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";

// A connection to the server.
class Peer {
 public:
  explicit Peer(int port, int receive_buffer = 0) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Peer() { close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void Send(const std::string& bytes) const { (void)!send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  // Everything until the server closes.
  std::string ReadAll() const {
    std::string answer;
    std::array<char, 4096> buffer;
    ssize_t size = 0;
    while ((size = read(fd_, buffer.data(), buffer.size())) > 0) answer.append(buffer.data(), size);
    return answer;
  }

 private:
  const int fd_;
};

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    auto server = HttpServer::Start({ListenAddress::Kind::kIpv4, "127.0.0.1", 0},
                                    {{"/page", [] { return HttpResponse{.body = "the page"}; }},
                                     {"/large", [] { return HttpResponse{.body = std::string(8'000'000, 'x')}; }},
                                     {"/memory", []() -> HttpResponse { throw std::bad_alloc(); }}});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::string Ask(const std::string& request) const {
    const Peer peer(server_->port());
    peer.Send(request);
    return peer.ReadAll();
  }

  // What a scraper does, and that it does not wait.
  void ExpectPageAtOnce() const {
    const steady_clock::time_point start = steady_clock::now();
    EXPECT_THAT(Ask(kGet), EndsWith("\r\n\r\nthe page"));
    EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(1));
  }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersItsPathsAndNoOthers) {
  EXPECT_THAT(Ask(kGet), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Ask("GET /other HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(Ask("POST /page HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Ask("HEAD /page HTTP/1.1\r\n\r\n"), EndsWith("\r\n\r\n"));
  EXPECT_THAT(Ask("GET /memory HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, ARequestMayComeByteByByte) {
  const Peer peer(server_->port());
  for (const char byte : std::string(kGet)) peer.Send(std::string(1, byte));
  EXPECT_THAT(peer.ReadAll(), EndsWith("the page"));
}

TEST_F(HttpServerTest, AnAnswerIsWholeHoweverLargeItIsAndWhateverElseWasSent) {
  const std::string answer = Ask("GET /large HTTP/1.1\r\n\r\n" + std::string(100'000, 'y'));
  EXPECT_THAT(answer.substr(0, 200), HasSubstr("Content-Length: 8000000\r\n"));
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 8'000'000U);
}

TEST_F(HttpServerTest, HeadersWithoutEndAreRefusedAtTheirLimit) {
  EXPECT_THAT(Ask("GET /page HTTP/1.1\r\n" + std::string(100'000, 'x')), StartsWith("HTTP/1.1 431 "));
  ExpectPageAtOnce();
}

TEST_F(HttpServerTest, HalfRequestsCostOthersNothing) {
  std::vector<std::unique_ptr<Peer>> halves;
  for (int i = 0; i < 1000; ++i) {
    halves.push_back(std::make_unique<Peer>(server_->port()));
    halves.back()->Send("GET /page HTTP/1.1\r\nX: ");
    if (i % 100 == 0) ExpectPageAtOnce();
  }
  ExpectPageAtOnce();
  // The oldest had to go, the latest may go on.
  EXPECT_EQ(halves.front()->ReadAll(), "");
  halves.back()->Send("y\r\n\r\n");
  EXPECT_THAT(halves.back()->ReadAll(), EndsWith("the page"));
}

TEST_F(HttpServerTest, WhoDoesNotReadTheAnswerCostsOthersNothingAndNotMuchMemory) {
  std::vector<std::unique_ptr<Peer>> lazy;
  for (int i = 0; i < 20; ++i) {
    lazy.push_back(std::make_unique<Peer>(server_->port(), 4096));
    lazy.back()->Send("GET /large HTTP/1.1\r\n\r\n");
  }
  ExpectPageAtOnce();
  // 20 of 20 MB do not fit: the first were cut off.
  EXPECT_LT(lazy.front()->ReadAll().size(), 8'000'000U);
}

TEST_F(HttpServerTest, StopsAtOnceWhateverItsConnectionsDo) {
  const Peer idle(server_->port());
  const Peer lazy(server_->port(), 4096);
  lazy.Send("GET /large HTTP/1.1\r\n\r\n");
  ExpectPageAtOnce();
  const steady_clock::time_point start = steady_clock::now();
  server_.reset();
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(1));
}

TEST_F(HttpServerTest, AnswersWhenNoFileIsLeft) {
  const Peer scraper(server_->port());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few = {64, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<int> taken;
  for (int fd = 0; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken.push_back(fd);
  scraper.Send(kGet);
  EXPECT_THAT(scraper.ReadAll(), EndsWith("the page"));
  for (const int fd : taken) close(fd);
  setrlimit(RLIMIT_NOFILE, &before);
  ExpectPageAtOnce();
}

TEST(HttpListenTest, TellsWhyAnAddressCannotBeListenedOn) {
  const auto start = [](ListenAddress::Kind kind, const std::string& host, int port) {
    return std::string(HttpServer::Start({kind, host, port}, {}).status().message());
  };
  EXPECT_THAT(start(ListenAddress::Kind::kIpv4, "192.0.2.1", 0), HasSubstr("Cannot assign requested address"));
  const auto first = HttpServer::Start({ListenAddress::Kind::kIpv4, "127.0.0.1", 0}, {});
  ASSERT_TRUE(first.ok());
  EXPECT_THAT(start(ListenAddress::Kind::kIpv4, "127.0.0.1", (*first)->port()), HasSubstr("Address already in use"));
  EXPECT_THAT(start(ListenAddress::Kind::kName, "localhost", 0), "");
}

}  // namespace
}  // namespace predictd
