#include "client/predictctl/closest_name.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "absl/strings/match.h"

namespace predictd {
namespace {

// Longer words were hardly meant to be a name.
constexpr std::size_t kMaxName = 100;

// Levenshtein's distance: how many letters to change, add or remove to turn one word into the other.
std::size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string ClosestName(absl::string_view name, const std::vector<std::string>& names) {
  if (name.size() > kMaxName) return "";
  std::string closest;
  std::size_t least = std::max<std::size_t>(2, name.size() / 5) + 1;
  for (const std::string& candidate : names) {
    const bool begun = name.size() > 2 && absl::StartsWith(candidate, name);
    const std::size_t distance = begun ? 1 : Distance(name, candidate);
    // A word of few letters is only a few letters away from any other.
    if (distance >= std::min(least, candidate.size())) continue;
    least = distance;
    closest = candidate;
  }
  return closest;
}

}  // namespace predictd
