#include "server/http/http_message.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

std::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

// Takes everything up to the next space.
std::string_view TakeWord(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

bool IsMethod(std::string_view word) {
  return !word.empty() && word.size() <= 16 &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// Returns the path of "/path?query" or "http://host/path?query".
std::string_view PathOf(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (target.starts_with(kScheme)) {
    const size_t path = target.find('/', kScheme.size());
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  return target.substr(0, target.find_first_of("?#"));
}

}  // namespace

size_t HeadSize(std::string_view received) {
  // Lines end in CRLF; a lone LF counts as one, as the standard allows.
  for (size_t end = received.find('\n'); end != std::string_view::npos; end = received.find('\n', end + 1)) {
    const std::string_view next = received.substr(end + 1);
    if (next.starts_with("\r\n")) return end + 3;
    if (next.starts_with('\n')) return end + 2;
  }
  return 0;
}

std::variant<HttpRequest, HttpResponse> ParseHead(std::string_view head) {
  std::string_view line = head.substr(0, head.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::string_view method = TakeWord(line);
  const std::string_view path = PathOf(TakeWord(line));
  if (!IsMethod(method) || !path.starts_with('/') || !line.starts_with("HTTP/")) return StatusResponse(400);
  if (line != "HTTP/1.1" && line != "HTTP/1.0") return StatusResponse(505);
  return HttpRequest{std::string(method), std::string(path)};
}

HttpResponse StatusResponse(int status) {
  return {.status = status, .body = absl::StrCat(std::string(Reason(status)), "\n")};
}

std::string Serialize(const HttpResponse& response, bool head_only) {
  std::string text =
      absl::StrCat("HTTP/1.1 ", response.status, " ", std::string(Reason(response.status)),
                   "\r\nContent-Type: ", response.content_type, "\r\nContent-Length: ", response.body.size(),
                   response.status == 405 ? "\r\nAllow: GET, HEAD" : "", "\r\nConnection: close\r\n\r\n");
  if (!head_only) text += response.body;
  return text;
}

}  // namespace predictd
