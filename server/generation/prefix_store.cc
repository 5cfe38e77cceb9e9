#include "server/generation/prefix_store.h"

#include <algorithm>

namespace predictd {

int64_t CommonPrefix(absl::Span<const int32_t> a, absl::Span<const int32_t> b) {
  const size_t length = std::min(a.size(), b.size());
  return std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(length), b.begin()).first - a.begin();
}

PrefixStore::Found PrefixStore::Find(absl::Span<const int32_t> tokens) {
  Entry* best = nullptr;
  int64_t most = kLeastTokens - 1;
  for (Entry& entry : entries_) {
    const int64_t common = CommonPrefix(entry.tokens, tokens);
    if (common <= most) continue;
    best = &entry;
    most = common;
  }
  if (best == nullptr) return {};
  best->used = ++uses_;
  return {.slot = best->slot, .tokens = most};
}

std::optional<PrefixStore::Place> PrefixStore::Keep(absl::Span<const int32_t> tokens) {
  const auto length = static_cast<int64_t>(tokens.size());
  if (slots_ == 0 || length < kLeastTokens) return std::nullopt;
  Entry* place = nullptr;
  for (Entry& entry : entries_) {
    const int64_t common = CommonPrefix(entry.tokens, tokens);
    if (common == length) {
      entry.used = ++uses_;
      return std::nullopt;
    }
    // A conversation that went on: nobody needs its shorter beginning separately.
    if (common == static_cast<int64_t>(entry.tokens.size())) place = &entry;
  }
  if (place == nullptr && static_cast<int64_t>(entries_.size()) < slots_) {
    place = &entries_.emplace_back(Entry{.slot = first_slot_ + static_cast<int64_t>(entries_.size()), .tokens = {}});
  }
  if (place == nullptr) {
    place = &*std::min_element(entries_.begin(), entries_.end(),
                               [](const Entry& a, const Entry& b) { return a.used < b.used; });
  }
  const int64_t begin = CommonPrefix(place->tokens, tokens);
  place->tokens.assign(tokens.begin(), tokens.end());
  place->used = ++uses_;
  return Place{.slot = place->slot, .begin = begin};
}

void PrefixStore::Forget(int64_t slot) {
  for (Entry& entry : entries_) {
    if (entry.slot == slot) entry.tokens.clear();
  }
}

}  // namespace predictd
