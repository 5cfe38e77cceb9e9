#include "server/rpc/socket_traffic.h"

#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace predictd {
namespace {

// How much the peer may send ahead of the reader from then on. That still allows hundreds of megabytes a second in a
// local network.
constexpr int kSmallWindow = 128 << 10;

// This is not the smoothed round trip, which includes acknowledgements that the peer held back until it had something
// to say.
Duration RoundTrip(const tcp_info& info, socklen_t size) {
  if (size < offsetof(tcp_info, tcpi_min_rtt) + sizeof(info.tcpi_min_rtt)) return Duration::zero();
  // All bits are set while the kernel has seen no round trip.
  constexpr uint32_t kMost = 10'000'000;
  return info.tcpi_min_rtt < kMost ? std::chrono::microseconds(info.tcpi_min_rtt) : Duration::zero();
}

}  // namespace

std::optional<SocketTraffic> ReadTraffic(int socket) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  // Kernels before 4.1 do not count these bytes.
  if (size < offsetof(tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received)) return std::nullopt;
  int waiting = 0;
  if (ioctl(socket, FIONREAD, &waiting) != 0) return std::nullopt;
  return SocketTraffic{.read_bytes = static_cast<int64_t>(info.tcpi_bytes_received) - waiting,
                       .written_bytes = static_cast<int64_t>(info.tcpi_bytes_acked),
                       .round_trip = RoundTrip(info, size)};
}

void NarrowWindow(int socket) {
  (void)setsockopt(socket, IPPROTO_TCP, TCP_WINDOW_CLAMP, &kSmallWindow, sizeof(kSmallWindow));
}

void WidenWindow(int socket) {
  const int any = 1 << 30;
  (void)setsockopt(socket, IPPROTO_TCP, TCP_WINDOW_CLAMP, &any, sizeof(any));
}

bool HoldBack(int socket) {
  NarrowWindow(socket);
  // The filter is a program of one instruction: keep nothing of a packet.
  sock_filter drop[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog program{.len = 1, .filter = drop};
  return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

void LetGo(int socket) {
  const int unused = 0;
  (void)setsockopt(socket, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

}  // namespace predictd
