#ifndef PREDICTD_SERVER_HTTP_HTTP_MESSAGE_H_
#define PREDICTD_SERVER_HTTP_HTTP_MESSAGE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

namespace predictd {

struct HttpRequest {
  std::string method;
  // Without host and query.
  std::string path;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
};

// How many bytes of `received` are the head of a request, its empty line among them; 0: it has not come to its end.
size_t HeadSize(std::string_view received);

// Reads a complete head of HTTP/1.0 or 1.1, of which only the first line matters here. Or the answer to what is none.
std::variant<HttpRequest, HttpResponse> ParseHead(std::string_view head);

// A response that only tells its status.
HttpResponse StatusResponse(int status);

// What is sent; for HEAD without the body. The connection ends with it.
std::string Serialize(const HttpResponse& response, bool head_only);

}  // namespace predictd

#endif  // PREDICTD_SERVER_HTTP_HTTP_MESSAGE_H_
