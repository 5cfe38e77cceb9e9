#include "server/config/listen_address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace predictd {
namespace {

constexpr int kMaxPort = 65535;
constexpr size_t kMaxNameLength = 253;
constexpr size_t kMaxLabelLength = 63;

absl::Status Malformed(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "'", text, "': ", what, "; expected an address like 127.0.0.1:8500, [::1]:8500, localhost:8500 or unix:/path"));
}

bool IsNumeric(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

bool IsLabel(const std::string& label) {
  const auto allowed = [](unsigned char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; };
  return !label.empty() && label.size() <= kMaxLabelLength && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), allowed);
}

// A name's last label must not be a number: resolvers read such names as old spellings of IPv4 addresses, and "0" would
// be all of them.
bool IsHostName(const std::string& host) {
  const std::vector<std::string> labels = absl::StrSplit(host, '.');
  const std::string& last = labels.back();
  const bool number = IsNumeric(last) || absl::StartsWithIgnoreCase(last, "0x");
  return host.size() <= kMaxNameLength && !number && std::all_of(labels.begin(), labels.end(), IsLabel);
}

bool IsIpv6(const std::string& host) {
  in6_addr unused{};
  // A link-local address names its interface behind a percent sign.
  const std::string address = host.substr(0, host.find('%'));
  return inet_pton(AF_INET6, address.c_str(), &unused) == 1 && (host.empty() || host.back() != '%');
}

absl::StatusOr<ListenAddress> ParseUnix(absl::string_view text, absl::string_view path) {
  // One byte of sun_path terminates the path.
  if (path.empty() || path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    return Malformed(text, "the path of the socket is missing or too long");
  }
  if (path.find('\0') != absl::string_view::npos) return Malformed(text, "the path of the socket has a zero byte");
  return ListenAddress{ListenAddress::Kind::kUnix, std::string(path), 0};
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "unix:")) return ParseUnix(text, rest);

  const size_t colon = text.rfind(':');
  // The colons of "[::1]" do not begin a port.
  if (colon == absl::string_view::npos || absl::EndsWith(text, "]")) return Malformed(text, "the port is missing");
  const absl::string_view port_text = text.substr(colon + 1);
  if (port_text.empty()) return Malformed(text, "the port is missing");
  if (!IsNumeric(port_text)) return Malformed(text, absl::StrCat("'", port_text, "' is not a port"));
  ListenAddress address;
  if (!absl::SimpleAtoi(port_text, &address.port) || address.port > kMaxPort) {
    return Malformed(text, absl::StrCat("port ", port_text, " is not in range 0 to ", kMaxPort));
  }

  address.host = std::string(text.substr(0, colon));
  if (address.host.empty()) {
    return Malformed(text, "the host is missing (0.0.0.0 stands for all IPv4 addresses, [::] for those of IPv6, too)");
  }
  if (address.host.front() == '[' && address.host.back() == ']') {
    address.kind = ListenAddress::Kind::kIpv6;
    address.host = address.host.substr(1, address.host.size() - 2);
    if (!IsIpv6(address.host)) return Malformed(text, absl::StrCat("'", address.host, "' is not an IPv6 address"));
    return address;
  }
  in_addr unused{};
  if (inet_pton(AF_INET, address.host.c_str(), &unused) == 1) return address;
  if (absl::StrContains(address.host, ":")) return Malformed(text, "an IPv6 address stands in brackets");
  if (!IsHostName(address.host)) return Malformed(text, absl::StrCat("'", address.host, "' is not a host"));
  address.kind = ListenAddress::Kind::kName;
  return address;
}

}  // namespace predictd
