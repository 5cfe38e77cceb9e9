#include "server/rpc/listening_sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// The system reduces this to what it allows (net.core.somaxconn).
constexpr int kBacklog = 65535;
// How long sent data may stay unacknowledged; gRPC's listener sets the same for our keepalive time-out.
constexpr int kUserTimeoutMilliseconds = 20'000;

absl::Status CannotListen(absl::string_view address, absl::string_view cause) {
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", cause));
}

bool Set(int socket, int level, int option, int value) {
  return setsockopt(socket, level, option, &value, sizeof(value)) == 0;
}

void SetPort(sockaddr_storage& address, int port) {
  const in_port_t network = htons(static_cast<uint16_t>(port));
  if (address.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address).sin6_port = network;
  } else {
    reinterpret_cast<sockaddr_in&>(address).sin_port = network;
  }
}

int Port(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

// Returns 0, or the errno. Accepted sockets inherit the options.
int BindSocket(const sockaddr_storage& address, socklen_t size, FileDescriptor& out) {
  FileDescriptor fd(socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno;
  if (address.ss_family != AF_UNIX) {
    const bool set = Set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) && Set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1) &&
                     Set(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMilliseconds) &&
                     // [::] also takes connections of IPv4.
                     (address.ss_family != AF_INET6 || Set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0));
    if (!set) return errno;
  }
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return errno;
  if (listen(fd.get(), kBacklog) != 0) return errno;
  out = std::move(fd);
  return 0;
}

// A server that was killed leaves its socket file behind. A socket that answers belongs to another server.
void RemoveDeadSocket(const sockaddr_un& address) {
  struct stat found {};
  if (stat(address.sun_path, &found) != 0 || !S_ISSOCK(found.st_mode)) return;
  const FileDescriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return;
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 && errno == ECONNREFUSED) {
    unlink(address.sun_path);
  }
}

}  // namespace

absl::StatusOr<ListeningSockets> ListeningSockets::Bind(const ListenAddress& address) {
  ListeningSockets bound;
  const absl::Status status =
      address.kind == ListenAddress::Kind::kUnix ? bound.BindUnix(address.host) : bound.BindInternet(address);
  if (!status.ok()) return status;
  return bound;
}

ListeningSockets::~ListeningSockets() {
  if (!sockets_.empty() && !unix_path_.empty()) unlink(unix_path_.c_str());
}

ListeningSockets::ListeningSockets(ListeningSockets&& other) noexcept
    : sockets_(std::exchange(other.sockets_, {})), port_(other.port_), unix_path_(std::move(other.unix_path_)) {}

absl::Status ListeningSockets::BindUnix(const std::string& path) {
  sockaddr_storage storage{};
  auto& address = reinterpret_cast<sockaddr_un&>(storage);
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  RemoveDeadSocket(address);
  FileDescriptor fd;
  if (const int error = BindSocket(storage, sizeof(sockaddr_un), fd); error != 0) {
    return CannotListen(absl::StrCat("unix:", path), ErrorText(error));
  }
  sockets_.push_back(std::move(fd));
  unix_path_ = path;
  return absl::OkStatus();
}

absl::Status ListeningSockets::BindInternet(const ListenAddress& address) {
  const bool bracketed = address.kind == ListenAddress::Kind::kIpv6;
  const std::string name = absl::StrCat(bracketed ? "[" : "", address.host, bracketed ? "]" : "", ":", address.port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | (address.kind == ListenAddress::Kind::kName ? 0 : AI_NUMERICHOST);
  addrinfo* list = nullptr;
  if (const int error = getaddrinfo(address.host.c_str(), nullptr, &hints, &list); error != 0) {
    return CannotListen(name, gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(list, &freeaddrinfo);
  port_ = address.port;
  int last_error = 0;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_addrlen > sizeof(sockaddr_storage)) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ai_addr, entry->ai_addrlen);
    // With port 0 a free port is chosen for the first address and then used for the others.
    SetPort(storage, port_);
    FileDescriptor fd;
    const int error = BindSocket(storage, static_cast<socklen_t>(entry->ai_addrlen), fd);
    if (error == 0) {
      port_ = Port(fd.get());
      sockets_.push_back(std::move(fd));
      continue;
    }
    last_error = error;
    // Where, for instance, IPv6 is switched off, a name's other addresses are enough. But if the port were in use on
    // some of the addresses, serving the rest would be a trap.
    if (error != EAFNOSUPPORT && error != EADDRNOTAVAIL) return CannotListen(name, ErrorText(error));
  }
  return sockets_.empty() ? CannotListen(name, ErrorText(last_error)) : absl::OkStatus();
}

}  // namespace predictd
