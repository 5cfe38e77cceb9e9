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

// Answers GET and HEAD for a few paths, on a thread of its own: for scrapers and operators, and safe beside others.
// Whoever sends half a request, or does not read the answer, costs nobody else time: nothing waits for one connection,
// each has a few seconds, and when there are too many connections, unsent bytes or open files, the oldest ends.
class HttpServer {
 public:
  // By path. Called on the server's thread: quick, and thread-safe against the rest of the process.
  using Routes = std::map<std::string, std::function<HttpResponse()>, std::less<>>;

  // UNAVAILABLE with the cause when the address cannot be listened on.
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
  // -1: nobody waits, or no file is left.
  int Accept();
  // Null without memory for it; then the file is closed.
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
  // Oldest first.
  std::list<HttpConnection> connections_;
  // Of the last Wait: whether to end, or to accept, and what is ready of the connections, in their order.
  bool stopping_ = false;
  bool accepting_ = false;
  std::vector<bool> ready_;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_HTTP_HTTP_SERVER_H_
