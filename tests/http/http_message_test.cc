#include "server/http/http_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace predictd {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

int StatusOf(std::string_view head) {
  const auto parsed = ParseHead(head);
  const auto* wrong = std::get_if<HttpResponse>(&parsed);
  return wrong == nullptr ? 200 : wrong->status;
}

std::string PathOf(std::string_view head) {
  return std::get<HttpRequest>(ParseHead(head)).path;
}

TEST(HttpMessageTest, AHeadEndsWithItsEmptyLine) {
  EXPECT_EQ(HeadSize(""), 0U);
  EXPECT_EQ(HeadSize("GET / HTTP/1.1\r\nHost: x\r\n"), 0U);
  EXPECT_EQ(HeadSize("GET / HTTP/1.1\r\n\r\nmore"), 18U);
  EXPECT_EQ(HeadSize("GET / HTTP/1.1\n\nmore"), 16U);
  EXPECT_EQ(HeadSize("GET / HTTP/1.1\r\n\r"), 0U);
}

TEST(HttpMessageTest, ThePathIsReadWithoutHostAndQuery) {
  EXPECT_EQ(PathOf("GET /metrics HTTP/1.1\r\n\r\n"), "/metrics");
  EXPECT_EQ(PathOf("GET /metrics?a=b/c HTTP/1.0\r\n\r\n"), "/metrics");
  EXPECT_EQ(PathOf("GET http://host:1/metrics HTTP/1.1\r\n\r\n"), "/metrics");
  EXPECT_EQ(PathOf("GET http://host HTTP/1.1\r\n\r\n"), "/");
}

TEST(HttpMessageTest, WhatIsNoRequestIsAnsweredWithItsStatus) {
  for (const char* head : {"\r\n\r\n", "\x16\x03\x01\n\n", "GET\r\n\r\n", "GET /\r\n\r\n", "get / HTTP/1.1\r\n\r\n",
                           "GET metrics HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET / FTP/1.1\r\n\r\n",
                           "AVERYLONGMETHODNAME / HTTP/1.1\r\n\r\n"}) {
    EXPECT_EQ(StatusOf(head), 400) << head;
  }
  EXPECT_EQ(StatusOf("PRI * HTTP/2.0\r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/3.0\r\n\r\n"), 505);
  EXPECT_EQ(StatusOf("POST /anything HTTP/1.1\r\n\r\n"), 200);
}

TEST(HttpMessageTest, AResponseTellsItsLengthAndThatItIsTheLast) {
  const std::string text = Serialize({.body = "abc"}, /*head_only=*/false);
  EXPECT_THAT(text, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\nContent-Length: 3\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(text, EndsWith("\r\n\r\nabc"));
  EXPECT_EQ(Serialize({.body = "abc"}, /*head_only=*/true) + "abc", text);
  EXPECT_THAT(Serialize(StatusResponse(405), false), HasSubstr("\r\nAllow: GET, HEAD\r\n"));
}

}  // namespace
}  // namespace predictd
