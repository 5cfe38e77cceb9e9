#include "server/http/http_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <new>
#include <utility>

namespace predictd {
namespace {

using std::chrono::steady_clock;

constexpr size_t kMaxConnections = 256;
constexpr size_t kMaxUnsent = size_t{32} << 20;
// The time for a request, its answer, and the peer's closing.
constexpr std::chrono::seconds kMaxLife(10);
// How many connections are accepted before the existing ones have their turn.
constexpr int kMaxAccepts = 32;

int OpenReserve() {
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const ListenAddress& address, Routes routes) {
  const absl::StatusOr<ListenSocket> socket = Listen(address);
  if (!socket.ok()) return socket.status();
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return std::unique_ptr<HttpServer>(new HttpServer(*socket, wake, std::move(routes)));
}

HttpServer::HttpServer(ListenSocket socket, int wake, Routes routes)
    : socket_(socket), wake_(wake), routes_(std::move(routes)), reserve_(OpenReserve()), thread_([this] { Run(); }) {}

HttpServer::~HttpServer() {
  const uint64_t one = 1;
  (void)!write(wake_, &one, sizeof(one));
  thread_.join();
  for (const int fd : {wake_, socket_.fd, reserve_}) {
    if (fd >= 0) close(fd);
  }
}

void HttpServer::Run() {
  while (!stopping_) {
    try {
      Wait();
      AdvanceReady();
      if (accepting_) AcceptAll();
      EndLate();
    } catch (const std::bad_alloc&) {
      // The connections may hold the memory that is missing.
      connections_.clear();
    }
    if (reserve_ < 0) reserve_ = OpenReserve();
  }
}

void HttpServer::Wait() {
  std::vector<pollfd> polled = {{.fd = wake_, .events = POLLIN, .revents = 0},
                                {.fd = socket_.fd, .events = POLLIN, .revents = 0}};
  for (const HttpConnection& connection : connections_) {
    polled.push_back({.fd = connection.fd(), .events = connection.events(), .revents = 0});
  }
  int timeout_ms = -1;
  if (!connections_.empty()) {
    const auto left = connections_.front().accepted() + kMaxLife - steady_clock::now();
    timeout_ms = std::max(0, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
  }
  poll(polled.data(), polled.size(), timeout_ms);
  accepting_ = polled[1].revents != 0;
  ready_.clear();
  for (size_t i = 2; i < polled.size(); ++i) ready_.push_back(polled[i].revents != 0);
  stopping_ = polled[0].revents != 0;
}

void HttpServer::AdvanceReady() {
  size_t index = 0;
  for (auto connection = connections_.begin(); index < ready_.size(); ++index) {
    const bool over = ready_[index] && !connection->Advance([this](const auto& request) { return Handle(request); });
    connection = over ? connections_.erase(connection) : std::next(connection);
  }
  KeepWithinLimits();
}

void HttpServer::AcceptAll() {
  for (int i = 0; i < kMaxAccepts; ++i) {
    const int fd = Accept();
    if (fd < 0) return;
    HttpConnection* const connection = Add(fd);
    if (connection == nullptr) return;
    // The request often arrives with the connection.
    if (!connection->Advance([this](const auto& request) { return Handle(request); })) connections_.pop_back();
    KeepWithinLimits();
  }
}

HttpConnection* HttpServer::Add(int fd) {
  try {
    return &connections_.emplace_back(fd, steady_clock::now());
  } catch (const std::bad_alloc&) {
    close(fd);
    return nullptr;
  }
}

int HttpServer::Accept() {
  while (true) {
    const int fd = accept4(socket_.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) return fd;
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EMFILE && errno != ENFILE) return -1;
    // Without a file the newcomer would wait for ever, and poll would report it without end.
    if (reserve_ >= 0) {
      close(std::exchange(reserve_, -1));
    } else if (!connections_.empty()) {
      connections_.pop_front();
    } else {
      // Somebody else has taken the file first.
      poll(nullptr, 0, 10);
      return -1;
    }
  }
}

void HttpServer::EndLate() {
  const TimePoint now = steady_clock::now();
  while (!connections_.empty() && connections_.front().accepted() + kMaxLife <= now) connections_.pop_front();
}

void HttpServer::KeepWithinLimits() {
  size_t unsent = 0;
  for (const HttpConnection& connection : connections_) unsent += connection.unsent();
  while (connections_.size() > kMaxConnections || (unsent > kMaxUnsent && connections_.size() > 1)) {
    unsent -= connections_.front().unsent();
    connections_.pop_front();
  }
}

HttpResponse HttpServer::Handle(const HttpRequest& request) const {
  const auto route = routes_.find(request.path);
  if (route == routes_.end()) return StatusResponse(404);
  if (request.method != "GET" && request.method != "HEAD") return StatusResponse(405);
  return route->second();
}

}  // namespace predictd
