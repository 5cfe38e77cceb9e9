// Guesses which name was meant by a mistyped one.
#ifndef PREDICTD_CLIENT_PREDICTCTL_CLOSEST_NAME_H_
#define PREDICTD_CLIENT_PREDICTCTL_CLOSEST_NAME_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace predictd {

// The one of `names` that begins with `name` or differs from it by a few letters; empty if there is none.
std::string ClosestName(absl::string_view name, const std::vector<std::string>& names);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CLOSEST_NAME_H_
