#include "server/generation/written_stops.h"

#include <algorithm>
#include <utility>

namespace predictd {

WrittenStops::WrittenStops(std::vector<std::string> strings) : matcher_(std::move(strings)) {}

std::optional<WrittenStops::Match> WrittenStops::Add(char byte, bool shown) {
  const std::optional<size_t> match = matcher_.Add(byte);
  shown_.push_back(shown);
  // At most as long as the longest string.
  shown_.erase(shown_.begin(), shown_.end() - static_cast<std::ptrdiff_t>(matcher_.pending()));
  shown_count_ = static_cast<size_t>(std::count(shown_.begin(), shown_.end(), true));
  if (!match.has_value()) return std::nullopt;
  const std::string& string = matcher_.string(*match);
  const auto begin = shown_.end() - static_cast<std::ptrdiff_t>(string.size());
  return Match{&string, static_cast<size_t>(std::count(begin, shown_.end(), true))};
}

}  // namespace predictd
