#ifndef PREDICTD_SERVER_CONFIG_CLOSEST_NAME_H_
#define PREDICTD_SERVER_CONFIG_CLOSEST_NAME_H_

#include <string>
#include <string_view>
#include <vector>

namespace predictd {

// The one of `names` that somebody who wrote `name` may have meant, by a few letters that are wrong, missing or too
// many; empty if none is close.
std::string ClosestName(std::string_view name, const std::vector<std::string>& names);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_CLOSEST_NAME_H_
