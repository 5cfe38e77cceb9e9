#include "server/http/listen_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

constexpr int kBacklog = 1024;

absl::Status CannotListen(const char* cause) {
  return absl::UnavailableError(absl::StrCat("cannot be listened on: ", cause));
}

int PortOf(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  if (bound.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port);
  return ntohs(reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
}

}  // namespace

absl::StatusOr<ListenSocket> Listen(const ListenAddress& address) {
  if (address.kind == ListenAddress::Kind::kUnix) return absl::InvalidArgumentError("expected an IP address or a host");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  if (address.kind != ListenAddress::Kind::kName) hints.ai_flags |= AI_NUMERICHOST;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &list);
  if (failed != 0) return CannotListen(failed == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(list, freeaddrinfo);

  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return CannotListen(std::strerror(errno));
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // [::] stands for all addresses, whatever the system's own default is.
  if (found->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, kBacklog) != 0) {
    const absl::Status status = CannotListen(std::strerror(errno));
    close(fd);
    return status;
  }
  return ListenSocket{fd, PortOf(fd)};
}

}  // namespace predictd
