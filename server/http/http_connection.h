#ifndef PREDICTD_SERVER_HTTP_HTTP_CONNECTION_H_
#define PREDICTD_SERVER_HTTP_HTTP_CONNECTION_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "server/async/clock.h"
#include "server/http/http_message.h"

namespace predictd {

// One request and its answer on a socket that does not block. It reads the head, answers, announces that no more comes,
// and reads on until the peer closes, because closing with unread bytes would take back what was sent. Used by one
// thread.
class HttpConnection {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // Takes over `fd`.
  HttpConnection(int fd, TimePoint accepted) : fd_(fd), accepted_(accepted) {}
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // Does everything that can be done without waiting. Returns false if the connection is over.
  bool Advance(const Handler& handler);

  int fd() const { return fd_; }
  TimePoint accepted() const { return accepted_; }
  // The events that poll is to wait for.
  short events() const;
  // How many bytes of the answer wait for the reader.
  size_t unsent() const { return output_.size() - sent_; }

 private:
  enum class Phase { kReading, kWriting, kLingering };

  // Each returns false if there is nothing more to do now; `over_` says whether there will be.
  bool Read(const Handler& handler);
  bool Write();
  bool Linger();
  // Returns false if nothing can be read now.
  bool Receive(std::string_view& bytes);
  void Answer(const Handler& handler, std::string_view head);

  const int fd_;
  const TimePoint accepted_;
  Phase phase_ = Phase::kReading;
  bool over_ = false;
  std::string input_;
  std::string output_;
  size_t sent_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_HTTP_HTTP_CONNECTION_H_
