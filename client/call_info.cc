#include "client/call_info.h"

namespace predictd {

std::string TrailerValue(const CallInfo& info, const std::string& name) {
  const auto found = info.trailers.find(name);
  return found == info.trailers.end() ? "" : found->second;
}

}  // namespace predictd
