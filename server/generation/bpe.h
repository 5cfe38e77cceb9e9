#ifndef PREDICTD_SERVER_GENERATION_BPE_H_
#define PREDICTD_SERVER_GENERATION_BPE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/generation/encode_limits.h"

namespace predictd {

// Byte-pair encoding: takes a word apart into characters or bytes, and joins the pair of the lowest rank until there is
// none. Immutable after it has been filled; any thread may call it. A word of n bytes takes time n log n.
class Bpe {
 public:
  static constexpr int32_t kNone = -1;

  struct Options {
    // Words are taken apart into bytes, not characters.
    bool byte_level = false;
    // A word that is a token stays whole.
    bool ignore_merges = false;
    // What a character becomes that is no token. Without it, it is left out.
    int32_t unknown = kNone;
    // A row of such characters becomes one token.
    bool fuse_unknown = false;
    // Before that, the tokens of its bytes are tried, if all of them are there.
    std::optional<std::array<int32_t, 256>> byte_fallback;
  };

  explicit Bpe(Options options) : options_(options) { bytes_.fill(kNone); }

  // `text` is what the token stands for in a word.
  void AddToken(absl::string_view text, int32_t id);
  // The later merge of a pair counts; its rank is how many were added before.
  void AddMerge(int32_t left, int32_t right, int32_t merged);

  // Space that calls use again.
  struct Scratch;

  // Appends the tokens of a word, which is UTF-8 and not empty; too many if the limits stop it.
  void Encode(absl::string_view word, const EncodeLimits& limits, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    uint32_t rank;
    int32_t merged;
  };

  // kNoMerge if the pair has none.
  const Merge& FindMerge(int32_t left, int32_t right) const;
  void TakeApart(absl::string_view word, std::vector<int32_t>& symbols) const;
  void MergeFew(Scratch& scratch) const;
  void MergeMany(const EncodeLimits& limits, Scratch& scratch) const;

  Options options_;
  // Tokens that are a byte, if byte_level.
  std::array<int32_t, 256> bytes_;
  absl::flat_hash_map<std::string, int32_t> tokens_;
  absl::flat_hash_map<uint64_t, Merge> merges_;
  uint32_t next_rank_ = 0;
};

struct Bpe::Scratch {
  // The word in symbols. Those that were joined with the one before are kNone.
  std::vector<int32_t> symbols;
  std::vector<uint32_t> ranks;
  // Of a long word: neighbours of each symbol, and pairs to join by rank and position.
  std::vector<uint32_t> before;
  std::vector<uint32_t> behind;
  std::vector<uint64_t> heap;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_BPE_H_
