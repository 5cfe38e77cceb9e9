#ifndef PREDICTD_SERVER_TOKENIZER_BPE_H_
#define PREDICTD_SERVER_TOKENIZER_BPE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/encode_limits.h"

namespace predictd {

// Byte-pair encoding: splits a word into characters or bytes, and joins the pair of the lowest rank until no pair can
// be joined. Immutable after it has been filled; any thread may call it. A word of n bytes takes time n log n.
class Bpe {
 public:
  static constexpr int32_t kNone = -1;

  struct Options {
    // Words are split into bytes instead of characters.
    bool byte_level = false;
    // A word that is a token stays whole.
    bool ignore_merges = false;
    // The token of a character that has none. Without it, such a character is left out.
    int32_t unknown = kNone;
    // A run of such characters becomes one token.
    bool fuse_unknown = false;
    // The tokens of the character's bytes, which are tried before `unknown` and used if all of them exist.
    std::optional<std::array<int32_t, 256>> byte_fallback;
  };

  explicit Bpe(Options options) : options_(options) { bytes_.fill(kNone); }

  // `text` is what the token stands for in a word.
  void AddToken(absl::string_view text, int32_t id);
  // If a pair is added twice, the later merge counts. Its rank is the number of merges added before it.
  void AddMerge(int32_t left, int32_t right, int32_t merged);

  // Memory that calls can reuse.
  struct Scratch;

  // Appends the tokens of a word, which must be UTF-8 and not empty. If the limits stop it, it appends too many tokens.
  void Encode(absl::string_view word, const EncodeLimits& limits, Scratch& scratch, std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    uint32_t rank;
    int32_t merged;
  };

  // kNoMerge if the pair cannot be joined.
  const Merge& FindMerge(int32_t left, int32_t right) const;
  void TakeApart(absl::string_view word, std::vector<int32_t>& symbols) const;
  void MergeFew(Scratch& scratch) const;
  void MergeMany(const EncodeLimits& limits, Scratch& scratch) const;

  Options options_;
  // The tokens of single bytes, if byte_level.
  std::array<int32_t, 256> bytes_;
  absl::flat_hash_map<std::string, int32_t> tokens_;
  absl::flat_hash_map<uint64_t, Merge> merges_;
  uint32_t next_rank_ = 0;
};

struct Bpe::Scratch {
  // The word as symbols. A symbol that was joined with the one before it is kNone.
  std::vector<int32_t> symbols;
  std::vector<uint32_t> ranks;
  // For a long word: the neighbours of each symbol, and the pairs to join by rank and position.
  std::vector<uint32_t> before;
  std::vector<uint32_t> behind;
  std::vector<uint64_t> heap;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_BPE_H_
