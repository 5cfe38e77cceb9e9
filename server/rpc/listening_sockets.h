#ifndef PREDICTD_SERVER_RPC_LISTENING_SOCKETS_H_
#define PREDICTD_SERVER_RPC_LISTENING_SOCKETS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config/listen_address.h"
#include "server/rpc/file_descriptor.h"

namespace predictd {

// The bound and listening sockets of one address, of which there are several if a name has several addresses. They do
// not block. They are closed with the object, which also removes the file of a Unix socket.
class ListeningSockets {
 public:
  // Returns UNAVAILABLE, with the system's reason, if it cannot listen on the address. A port is never shared with
  // another process.
  static absl::StatusOr<ListeningSockets> Bind(const ListenAddress& address);
  ~ListeningSockets();
  ListeningSockets(ListeningSockets&& other) noexcept;
  ListeningSockets& operator=(ListeningSockets&&) = delete;

  const std::vector<FileDescriptor>& sockets() const { return sockets_; }
  // 0 for a Unix socket.
  int port() const { return port_; }

 private:
  ListeningSockets() = default;
  absl::Status BindUnix(const std::string& path);
  absl::Status BindInternet(const ListenAddress& address);

  std::vector<FileDescriptor> sockets_;
  int port_ = 0;
  std::string unix_path_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_LISTENING_SOCKETS_H_
