#include "server/text/closest_name.h"

#include <algorithm>
#include <numeric>

namespace predictd {
namespace {

// A longer text was hardly meant to be a name.
constexpr size_t kMaxName = 100;

// How many letters must be changed, added or removed to turn one into the other (Levenshtein's distance).
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string ClosestName(std::string_view name, const std::vector<std::string>& names) {
  if (name.size() > kMaxName) return "";
  std::string closest;
  size_t least = std::max<size_t>(2, name.size() / 5) + 1;
  for (const std::string& candidate : names) {
    const size_t distance = Distance(name, candidate);
    if (distance >= least) continue;
    least = distance;
    closest = candidate;
  }
  return closest;
}

}  // namespace predictd
