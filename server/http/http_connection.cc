#include "server/http/http_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <utility>
#include <variant>

namespace predictd {
namespace {

// This is many times what Prometheus and browsers send.
constexpr size_t kMaxHead = 8192;
constexpr size_t kReadSize = 4096;
// How often the input of a connection, which is discarded, is read at a time: other connections want their turn.
constexpr int kMaxReads = 4;

}  // namespace

HttpConnection::~HttpConnection() {
  close(fd_);
}

short HttpConnection::events() const {
  return phase_ == Phase::kWriting ? POLLOUT : POLLIN;
}

bool HttpConnection::Advance(const Handler& handler) {
  for (int reads = 0; !over_ && reads < kMaxReads;) {
    switch (phase_) {
      case Phase::kReading:
        if (!Read(handler)) return !over_;
        ++reads;
        break;
      case Phase::kWriting:
        if (!Write()) return !over_;
        break;
      case Phase::kLingering:
        if (!Linger()) return !over_;
        ++reads;
        break;
    }
  }
  return !over_;
}

bool HttpConnection::Receive(std::string_view& bytes) {
  thread_local char buffer[kReadSize];
  const ssize_t size = recv(fd_, buffer, sizeof(buffer), 0);
  if (size > 0) {
    bytes = std::string_view(buffer, static_cast<size_t>(size));
    return true;
  }
  over_ = size == 0 || (errno != EAGAIN && errno != EINTR);
  return false;
}

bool HttpConnection::Read(const Handler& handler) {
  std::string_view bytes;
  if (!Receive(bytes)) return false;
  input_.append(bytes);
  const size_t head = HeadSize(input_);
  if (head == 0 && input_.size() <= kMaxHead) return true;
  if (head == 0 || head > kMaxHead) {
    output_ = Serialize(StatusResponse(431), /*head_only=*/false);
  } else {
    Answer(handler, std::string_view(input_).substr(0, head));
  }
  input_.clear();
  input_.shrink_to_fit();
  phase_ = Phase::kWriting;
  return true;
}

void HttpConnection::Answer(const Handler& handler, std::string_view head) {
  const std::variant<HttpRequest, HttpResponse> parsed = ParseHead(head);
  if (const auto* wrong = std::get_if<HttpResponse>(&parsed)) {
    output_ = Serialize(*wrong, /*head_only=*/false);
    return;
  }
  const auto& request = std::get<HttpRequest>(parsed);
  HttpResponse response;
  try {
    response = handler(request);
  } catch (const std::bad_alloc&) {
    response = StatusResponse(503);
  }
  output_ = Serialize(response, request.method == "HEAD");
}

bool HttpConnection::Write() {
  const ssize_t size = send(fd_, output_.data() + sent_, unsent(), MSG_NOSIGNAL);
  if (size < 0) {
    over_ = errno != EAGAIN && errno != EINTR;
    return false;
  }
  sent_ += static_cast<size_t>(size);
  if (unsent() > 0) return true;
  output_ = {};
  sent_ = 0;
  over_ = shutdown(fd_, SHUT_WR) != 0;
  phase_ = Phase::kLingering;
  return true;
}

bool HttpConnection::Linger() {
  std::string_view unwanted;
  return Receive(unwanted);
}

}  // namespace predictd
