#include "client/call_info.h"

namespace predictd {
inline namespace client {

std::string TrailerValue(const CallInfo& info, const std::string& name) {
  const auto found = info.trailers.find(name);
  return found == info.trailers.end() ? "" : found->second;
}

}  // namespace client
}  // namespace predictd
