#ifndef PREDICTD_SERVER_HTTP_HTTP_MESSAGE_H_
#define PREDICTD_SERVER_HTTP_HTTP_MESSAGE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

namespace predictd {

struct HttpRequest {
  std::string method;
  // The path without host and query.
  std::string path;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
};

// How many bytes of `received` are the head of a request, including its empty line; 0 if the head is not complete.
size_t HeadSize(std::string_view received);

// Reads a complete head of HTTP/1.0 or 1.1, of which only the first line matters here. If it is malformed, returns the
// answer to that.
std::variant<HttpRequest, HttpResponse> ParseHead(std::string_view head);

// A response that contains nothing but its status.
HttpResponse StatusResponse(int status);

// The bytes to send, without the body if `head_only` is set for HEAD. The connection ends after them.
std::string Serialize(const HttpResponse& response, bool head_only);

}  // namespace predictd

#endif  // PREDICTD_SERVER_HTTP_HTTP_MESSAGE_H_
