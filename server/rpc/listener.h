#ifndef PREDICTD_SERVER_RPC_LISTENER_H_
#define PREDICTD_SERVER_RPC_LISTENER_H_

#include <poll.h>

#include <atomic>
#include <functional>
#include <string_view>
#include <thread>
#include <vector>

#include "server/rpc/connection_metrics.h"
#include "server/rpc/connection_table.h"
#include "server/rpc/connection_watch.h"
#include "server/rpc/file_descriptor.h"
#include "server/rpc/listening_sockets.h"

namespace predictd {

// Accepts connections on a thread of its own until it is stopped; a lack of files or memory does not end that.
// Connections within the limits are watched and handed to the handler; the others are closed at once.
class Listener {
 public:
  // Takes over the socket of a new connection.
  using Handler = std::function<void(int listening_socket, int socket)>;

  // `table`, `watch` and `metrics` outlive the listener.
  Listener(ListeningSockets sockets, ConnectionTable& table, ConnectionWatch& watch, ConnectionMetrics& metrics,
           Handler handler);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Closes the port and the connections that wait to be accepted. Blocks until the handler no longer runs.
  void Stop();

 private:
  void Run();
  void WaitAndAccept();
  void AcceptAll(int listening_socket);
  void HandOver(int listening_socket, FileDescriptor socket);
  void Refuse(std::string_view reason);
  // Accepts and closes one connection with the descriptor that is kept for this. Returns false if even that fails.
  bool ShedOne(int listening_socket);
  void OnAcceptError(int listening_socket, int error);
  // Logs that the system lacks something.
  void LogLack(std::string_view cause);

  ListeningSockets sockets_;
  ConnectionTable& table_;
  ConnectionWatch& watch_;
  ConnectionMetrics& metrics_;
  const Handler handler_;
  FileDescriptor reserve_;
  FileDescriptor wakeup_;
  // The listening sockets, followed by the wake-up.
  std::vector<pollfd> polled_;
  std::atomic<bool> stop_{false};
  bool out_of_resources_ = false;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_LISTENER_H_
