#ifndef PREDICTD_SERVER_GENERATION_PREFIX_STORE_H_
#define PREDICTD_SERVER_GENERATION_PREFIX_STORE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace predictd {

// How many tokens two sequences have in common at their beginning.
int64_t CommonPrefix(absl::Span<const int32_t> a, absl::Span<const int32_t> b);

// Which tokens lie in the slots of a cache that are set aside for what was computed earlier. Chat turns and prompts
// with the same system message begin alike, and copying a token is far cheaper than computing it. The least
// recently used one makes room. Not thread-safe.
class PrefixStore {
 public:
  // What is shorter is not worth a copy.
  static constexpr int64_t kLeastTokens = 32;

  PrefixStore(int64_t first_slot, int64_t slots) : first_slot_(first_slot), slots_(slots) {}

  struct Found {
    int64_t slot = 0;
    int64_t tokens = 0;
  };
  // The slot that has the most of the beginning of `tokens`; 0 tokens if none has enough. Counts as a use.
  Found Find(absl::Span<const int32_t> tokens);

  struct Place {
    int64_t slot = 0;
    // What it holds already; the rest, up to the end of the tokens, is to be copied there.
    int64_t begin = 0;
  };
  // Where to keep the tokens; nullopt if that is not worth it or they are there.
  std::optional<Place> Keep(absl::Span<const int32_t> tokens);

  // The slot does not hold what it was to hold.
  void Forget(int64_t slot);

 private:
  struct Entry {
    int64_t slot = 0;
    std::vector<int32_t> tokens;
    int64_t used = 0;
  };

  const int64_t first_slot_;
  const int64_t slots_;
  std::vector<Entry> entries_;
  int64_t uses_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_PREFIX_STORE_H_
