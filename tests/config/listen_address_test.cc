#include "server/config/listen_address.h"

#include <gtest/gtest.h>

#include <string>

namespace predictd {
namespace {

using Kind = ListenAddress::Kind;

struct GoodAddress {
  const char* text;
  Kind kind;
  const char* host;
  int port;
};

std::ostream& operator<<(std::ostream& out, const GoodAddress& address) {
  return out << address.text;
}

class GoodAddressTest : public testing::TestWithParam<GoodAddress> {};

TEST_P(GoodAddressTest, IsRead) {
  const absl::StatusOr<ListenAddress> parsed = ParseListenAddress(GetParam().text);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->kind, GetParam().kind);
  EXPECT_EQ(parsed->host, GetParam().host);
  EXPECT_EQ(parsed->port, GetParam().port);
}

INSTANTIATE_TEST_SUITE_P(
    Table, GoodAddressTest,
    testing::Values(GoodAddress{"127.0.0.1:8500", Kind::kIpv4, "127.0.0.1", 8500},
                    GoodAddress{"0.0.0.0:0", Kind::kIpv4, "0.0.0.0", 0},
                    GoodAddress{"10.1.2.3:65535", Kind::kIpv4, "10.1.2.3", 65535},
                    GoodAddress{"[::1]:8500", Kind::kIpv6, "::1", 8500}, GoodAddress{"[::]:1", Kind::kIpv6, "::", 1},
                    GoodAddress{"[fe80::1%eth0]:8500", Kind::kIpv6, "fe80::1%eth0", 8500},
                    GoodAddress{"[::ffff:10.0.0.1]:8500", Kind::kIpv6, "::ffff:10.0.0.1", 8500},
                    GoodAddress{"localhost:8500", Kind::kName, "localhost", 8500},
                    GoodAddress{"predict-1.example.org:80", Kind::kName, "predict-1.example.org", 80},
                    GoodAddress{"unix:/run/predictd.sock", Kind::kUnix, "/run/predictd.sock", 0},
                    GoodAddress{"unix:relative", Kind::kUnix, "relative", 0}));

struct BadAddress {
  std::string text;
  const char* says;
};

std::ostream& operator<<(std::ostream& out, const BadAddress& address) {
  return out << address.text;
}

class BadAddressTest : public testing::TestWithParam<BadAddress> {};

TEST_P(BadAddressTest, IsRefusedWithAReason) {
  const absl::StatusOr<ListenAddress> parsed = ParseListenAddress(GetParam().text);
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(parsed.status().message());
  EXPECT_NE(message.find(GetParam().says), std::string::npos) << message;
  EXPECT_NE(message.find(GetParam().text), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadAddressTest,
    testing::Values(BadAddress{"", "port is missing"}, BadAddress{"127.0.0.1", "port is missing"},
                    BadAddress{"localhost", "port is missing"}, BadAddress{"localhost:", "port is missing"},
                    BadAddress{"[::1]", "port is missing"}, BadAddress{"8500", "port is missing"},
                    BadAddress{":8500", "host is missing"}, BadAddress{"0:8500", "not a host"},
                    BadAddress{"127.1:8500", "not a host"}, BadAddress{"010.0.0.1:8500", "not a host"},
                    BadAddress{"0x7f.0.0.0x1:8500", "not a host"}, BadAddress{"256.0.0.1:8500", "not a host"},
                    BadAddress{"1.2.3.4.5:80", "not a host"}, BadAddress{"*:8500", "not a host"},
                    BadAddress{"a b:8500", "not a host"}, BadAddress{"-a:8500", "not a host"},
                    BadAddress{"a..b:8500", "not a host"}, BadAddress{std::string(300, 'a') + ":1", "not a host"},
                    BadAddress{"::1:8500", "in brackets"}, BadAddress{"[::1:8500", "in brackets"},
                    BadAddress{"[127.0.0.1]:8500", "not an IPv6 address"}, BadAddress{"[]:8500", "not an IPv6 address"},
                    BadAddress{"[fe80::1%]:80", "not an IPv6 address"},
                    BadAddress{"127.0.0.1:65536", "not in range 0 to 65535"},
                    BadAddress{"127.0.0.1:99999999999999999999", "not in range 0 to 65535"},
                    BadAddress{"127.0.0.1:-1", "'-1' is not a port"}, BadAddress{"127.0.0.1:+1", "'+1' is not a port"},
                    BadAddress{"127.0.0.1: 80", "is not a port"}, BadAddress{"127.0.0.1:80 ", "is not a port"},
                    BadAddress{"127.0.0.1:0x50", "is not a port"}, BadAddress{"127.0.0.1:http", "is not a port"},
                    BadAddress{"http://127.0.0.1:80", "in brackets"}, BadAddress{"dns:localhost:80", "in brackets"},
                    BadAddress{"unix:", "missing or too long"},
                    BadAddress{"unix:/" + std::string(200, 'a'), "missing or too long"}));

}  // namespace
}  // namespace predictd
