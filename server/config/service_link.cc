#include "server/config/service_link.h"

#include <algorithm>
#include <array>

namespace predictd {
namespace {

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsUrl(std::string_view value) {
  constexpr std::array<std::string_view, 3> kSchemes = {"tcp://", "udp://", "sctp://"};
  return std::any_of(kSchemes.begin(), kSchemes.end(), [value](auto scheme) { return value.starts_with(scheme); });
}

// Removes `end` from the name, and returns whether the name ended like that.
bool TakeEnd(std::string_view& name, std::string_view end) {
  if (!name.ends_with(end)) return false;
  name.remove_suffix(end.size());
  return true;
}

// Matches "..._PORT_8500_TCP", with or without _PROTO, _PORT or _ADDR behind it.
bool IsPortVariable(std::string_view name, std::string_view value) {
  const bool part = TakeEnd(name, "_PROTO") || TakeEnd(name, "_PORT") || TakeEnd(name, "_ADDR");
  if (!TakeEnd(name, "_TCP") && !TakeEnd(name, "_UDP") && !TakeEnd(name, "_SCTP")) return false;
  const size_t number = name.rfind('_');
  if (number == std::string_view::npos || !IsNumber(name.substr(number + 1))) return false;
  return name.substr(0, number).ends_with("_PORT") && (part || IsUrl(value));
}

}  // namespace

bool IsServiceLink(std::string_view name, std::string_view value) {
  if (name.ends_with("_SERVICE_HOST")) return true;
  // The name of the port may follow.
  if (name.ends_with("_SERVICE_PORT") || name.find("_SERVICE_PORT_") != std::string_view::npos) return IsNumber(value);
  return (name.ends_with("_PORT") && IsUrl(value)) || IsPortVariable(name, value);
}

}  // namespace predictd
