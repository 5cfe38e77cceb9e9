#ifndef PREDICTD_SERVER_HTTP_HTTP_SERVER_H_
#define PREDICTD_SERVER_HTTP_HTTP_SERVER_H_

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/config/listen_address.h"
#include "server/http/http_connection.h"
#include "server/http/http_message.h"
#include "server/http/listen_socket.h"

namespace predictd {

// Answers GET and HEAD for a few paths, on a thread of its own, for scrapers and operators. A client that sends half a
// request, or does not read the answer, costs no other client time: the server never waits for one connection, each has
// a few seconds, and when there are too many connections, unsent bytes or open files, the oldest connection ends.
class HttpServer {
 public:
  // The answers by path. They are made on the server's thread, so the functions must be quick, and thread-safe against
  // the rest of the process.
  using Routes = std::map<std::string, std::function<HttpResponse()>, std::less<>>;

  // Returns UNAVAILABLE with the cause if it cannot listen on the address.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const ListenAddress& address, Routes routes);
  // Ends at once. Answers are sent when they are made, so only slow readers lose theirs.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return socket_.port; }

 private:
  HttpServer(ListenSocket socket, int wake, Routes routes);

  void Run();
  void Wait();
  void AcceptAll();
  // Returns -1 if nobody waits, or no file is left.
  int Accept();
  // Returns null if there is no memory for the connection; the file is then closed.
  HttpConnection* Add(int fd);
  void AdvanceReady();
  void EndLate();
  // Ends the oldest connections while there are too many of them, or too many bytes wait in them.
  void KeepWithinLimits();
  HttpResponse Handle(const HttpRequest& request) const;

  const ListenSocket socket_;
  const int wake_;
  const Routes routes_;
  // An open file to give up for a connection when there is no other.
  int reserve_;
  // The oldest connection comes first.
  std::list<HttpConnection> connections_;
  // The results of the last Wait: whether to end, whether to accept, and which connections are ready, in their order.
  bool stopping_ = false;
  bool accepting_ = false;
  std::vector<bool> ready_;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_HTTP_HTTP_SERVER_H_
