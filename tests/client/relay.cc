#include "tests/client/relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

constexpr std::size_t kPrefaceBytes = 24;
constexpr std::size_t kFrameHeaderBytes = 9;
constexpr char kPingFrame = 6;
constexpr int kPollMilliseconds = 20;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

bool Readable(int socket) {
  pollfd wanted{.fd = socket, .events = POLLIN, .revents = 0};
  return poll(&wanted, 1, kPollMilliseconds) > 0;
}

}  // namespace

Relay::Relay(const std::string& server) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in own = Loopback(0);
  socklen_t length = sizeof(own);
  if (bind(listener, reinterpret_cast<sockaddr*>(&own), length) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&own), &length) != 0) {
    std::abort();
  }
  address_ = absl::StrCat("127.0.0.1:", ntohs(own.sin_port));
  const int upstream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in theirs = Loopback(std::atoi(server.substr(server.find(':') + 1).c_str()));
  if (connect(upstream, reinterpret_cast<const sockaddr*>(&theirs), sizeof(theirs)) != 0) std::abort();
  thread_ = std::thread(&Relay::Run, this, listener, upstream);
}

Relay::~Relay() {
  stopping_ = true;
  thread_.join();
}

bool Relay::WaitForPings(int count, absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return pings_ >= count; };
  return mutex_.AwaitWithTimeout(absl::Condition(&enough), timeout);
}

void Relay::Run(int listener, int server) {
  while (!stopping_ && !Readable(listener)) {
  }
  const int client = stopping_ ? -1 : accept(listener, nullptr, nullptr);
  bool open = client >= 0;
  while (open && !stopping_) {
    if (frozen_) {
      poll(nullptr, 0, kPollMilliseconds);
      continue;
    }
    pollfd wanted[] = {{.fd = client, .events = POLLIN, .revents = 0}, {.fd = server, .events = POLLIN, .revents = 0}};
    if (poll(wanted, 2, kPollMilliseconds) <= 0) continue;
    if (wanted[0].revents != 0) open = Pass(client, server, /*from_client=*/true);
    if (open && wanted[1].revents != 0) open = Pass(server, client, /*from_client=*/false);
  }
  for (const int socket : {listener, server, client}) {
    if (socket >= 0) close(socket);
  }
}

bool Relay::Pass(int from, int to, bool from_client) {
  char block[1 << 16];
  const ssize_t got = read(from, block, sizeof(block));
  if (got <= 0) return false;
  if (from_client) CountPings(std::string(block, static_cast<std::size_t>(got)));
  return send(to, block, static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
}

void Relay::CountPings(const std::string& bytes) {
  // The preface stays at the beginning, so that the first frame needs no state of its own.
  unread_ += bytes;
  std::size_t at = kPrefaceBytes;
  while (at + kFrameHeaderBytes <= unread_.size()) {
    const auto byte = [&](std::size_t i) {
      return static_cast<std::size_t>(static_cast<unsigned char>(unread_[at + i]));
    };
    const std::size_t end = at + kFrameHeaderBytes + (byte(0) << 16 | byte(1) << 8 | byte(2));
    if (end > unread_.size()) break;
    const bool is_ack = (byte(4) & 1) != 0;
    if (unread_[at + 3] == kPingFrame && !is_ack) {
      absl::MutexLock lock(&mutex_);
      ++pings_;
    }
    at = end;
  }
  if (at > kPrefaceBytes) unread_.erase(kPrefaceBytes, at - kPrefaceBytes);
}

}  // namespace predictd
