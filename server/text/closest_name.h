#ifndef PREDICTD_SERVER_TEXT_CLOSEST_NAME_H_
#define PREDICTD_SERVER_TEXT_CLOSEST_NAME_H_

#include <string>
#include <string_view>
#include <vector>

namespace predictd {

// Returns the one of `names` that somebody who wrote `name` may have meant: a few letters are wrong, missing or too
// many. Returns an empty string if none is close.
std::string ClosestName(std::string_view name, const std::vector<std::string>& names);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEXT_CLOSEST_NAME_H_
