#include "server/rpc/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/telemetry/log.h"
#include "server/telemetry/log_limiter.h"

namespace predictd {
namespace {

// How long to wait before another try when the system lacks something.
constexpr int kPauseMilliseconds = 50;

// gRPC's name for the peer of a connection.
std::string PeerName(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  char text[INET6_ADDRSTRLEN];
  if (address.ss_family == AF_INET) {
    const auto& peer = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &peer.sin_addr, text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", ntohs(peer.sin_port));
  }
  if (address.ss_family != AF_INET6) return "unix:";
  const auto& peer = reinterpret_cast<const sockaddr_in6&>(address);
  const int port = ntohs(peer.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr)) {
    inet_ntop(AF_INET, &peer.sin6_addr.s6_addr[12], text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", port);
  }
  inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text));
  return absl::StrCat("ipv6:[", text, "]:", port);
}

bool IsLackOfFiles(int error) {
  return error == EMFILE || error == ENFILE;
}

bool IsLackOfMemory(int error) {
  return error == ENOBUFS || error == ENOMEM;
}

}  // namespace

Listener::Listener(ListeningSockets sockets, ConnectionTable& table, ConnectionWatch& watch, ConnectionMetrics& metrics,
                   Handler handler)
    : sockets_(std::move(sockets)),
      table_(table),
      watch_(watch),
      metrics_(metrics),
      handler_(std::move(handler)),
      reserve_(open("/dev/null", O_RDONLY | O_CLOEXEC)),
      wakeup_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  for (const FileDescriptor& socket : sockets_.sockets()) polled_.push_back({socket.get(), POLLIN, 0});
  polled_.push_back({wakeup_.get(), POLLIN, 0});
  thread_ = std::thread([this] { Run(); });
}

Listener::~Listener() {
  Stop();
}

void Listener::Stop() {
  if (!thread_.joinable()) return;
  stop_ = true;
  watch_.OnDraining();
  eventfd_write(wakeup_.get(), 1);
  thread_.join();
  const ListeningSockets closed = std::move(sockets_);
}

void Listener::Run() {
  while (!stop_) {
    try {
      WaitAndAccept();
    } catch (const std::exception& failure) {
      out_of_resources_ = true;
      LogLack(failure.what());
    }
  }
}

void Listener::WaitAndAccept() {
  if (std::exchange(out_of_resources_, false)) {
    // Only the wake-up is polled: connections that wait to be accepted would end the wait at once.
    poll(&polled_.back(), 1, kPauseMilliseconds);
  } else {
    poll(polled_.data(), polled_.size(), -1);
  }
  for (size_t i = 0; i + 1 < polled_.size() && !stop_; ++i) AcceptAll(polled_[i].fd);
}

void Listener::AcceptAll(int listening_socket) {
  while (!stop_ && !out_of_resources_) {
    FileDescriptor socket(accept4(listening_socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid()) {
      HandOver(listening_socket, std::move(socket));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else {
      // All other errors concern a newcomer that is gone already.
      if (IsLackOfFiles(errno) || IsLackOfMemory(errno)) OnAcceptError(listening_socket, errno);
    }
  }
}

void Listener::HandOver(int listening_socket, FileDescriptor socket) {
  const std::string peer = PeerName(socket.get());
  if (peer.empty()) return;
  Refusal refusal = Refusal::kNone;
  std::shared_ptr<PeerConnection> connection = table_.Add(peer, refusal);
  if (connection == nullptr) {
    Refuse(refusal == Refusal::kTotal ? "max_connections" : "max_connections_per_peer");
    return;
  }
  FileDescriptor duplicate(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  bool watched = false;
  int error = errno;
  if (duplicate.valid()) {
    try {
      watched = watch_.Add(connection, std::move(duplicate));
      error = errno;
    } catch (const std::bad_alloc&) {
      error = ENOMEM;
    }
  }
  if (!watched) {
    table_.Remove(*connection);
    metrics_.refused("resources").Increment();
    LogLack(ErrorText(error));
    return;
  }
  const int taken = socket.Release();
  try {
    handler_(listening_socket, taken);
  } catch (const std::exception&) {
    // It is unknown who owns the socket now. After the shutdown the watch finds the connection at its end.
    shutdown(taken, SHUT_RDWR);
    throw;
  }
}

void Listener::Refuse(std::string_view reason) {
  static LogLimiter limiter(1, std::chrono::seconds(10));
  metrics_.refused(reason).Increment();
  if (const std::optional<uint64_t> held_back = limiter.Admit(std::chrono::steady_clock::now())) {
    Log(LogLevel::kWarning, "a connection was refused",
        {{"reason", reason}, {"connections", static_cast<int64_t>(table_.size())}, {"held_back", *held_back}});
  }
}

bool Listener::ShedOne(int listening_socket) {
  if (!reserve_.valid()) return false;
  reserve_.Reset();
  const FileDescriptor shed(accept4(listening_socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  return shed.valid();
}

void Listener::OnAcceptError(int listening_socket, int error) {
  const bool shed = IsLackOfFiles(error) && ShedOne(listening_socket);
  if (!reserve_.valid()) reserve_.Reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (shed) {
    metrics_.refused("resources").Increment();
  } else {
    out_of_resources_ = true;
  }
  LogLack(ErrorText(error));
}

void Listener::LogLack(std::string_view cause) {
  static LogLimiter limiter(1, std::chrono::seconds(10));
  const std::optional<uint64_t> held_back = limiter.Admit(std::chrono::steady_clock::now());
  if (!held_back.has_value()) return;
  try {
    Log(LogLevel::kError, "connections cannot be accepted for now: the process may need more open files or memory",
        {{"cause", cause}, {"connections", static_cast<int64_t>(table_.size())}, {"held_back", *held_back}});
  } catch (const std::bad_alloc&) {
    // The lack is then not logged.
    return;
  }
}

}  // namespace predictd
