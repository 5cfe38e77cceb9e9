#ifndef PREDICTD_SERVER_GENERATION_PREFIX_STORE_H_
#define PREDICTD_SERVER_GENERATION_PREFIX_STORE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace predictd {

// The length of the longest common prefix of two sequences.
int64_t CommonPrefix(absl::Span<const int32_t> a, absl::Span<const int32_t> b);

// Which tokens lie in those slots of the KV cache that are reserved as a prefix cache. Chat turns and prompts with the
// same system message begin alike, and copying a token is far cheaper than computing it. The least recently used entry
// makes room for a new one. Not thread-safe.
class PrefixStore {
 public:
  // A shorter prefix is not worth a copy.
  static constexpr int64_t kLeastTokens = 32;

  PrefixStore(int64_t first_slot, int64_t slots) : first_slot_(first_slot), slots_(slots) {}

  struct Found {
    int64_t slot = 0;
    int64_t tokens = 0;
  };
  // The slot that has the longest prefix of `tokens`; 0 tokens if none has enough. This counts as a use of the slot.
  Found Find(absl::Span<const int32_t> tokens);

  struct Place {
    int64_t slot = 0;
    // The slot already holds the tokens before this one; the rest is to be copied there.
    int64_t begin = 0;
  };
  // Where to keep the tokens; nullopt if they are not worth keeping or are already there.
  std::optional<Place> Keep(absl::Span<const int32_t> tokens);

  // Call this if the slot does not hold the tokens that it was meant to hold.
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
