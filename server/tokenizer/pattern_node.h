#ifndef PREDICTD_SERVER_TOKENIZER_PATTERN_NODE_H_
#define PREDICTD_SERVER_TOKENIZER_PATTERN_NODE_H_

#include <unicode/uniset.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// The syntax tree of a regular expression, before it becomes a Pattern.
struct PatternNode {
  enum class Kind {
    // A character of `set`.
    kSet,
    // `children`, one after the other.
    kSequence,
    // The first of `children` with which the whole pattern matches.
    kAlternation,
    // `children[0]`, repeated.
    kRepeat,
    // A character of `set` follows, or if `behind` is set, precedes; if `negated` is set, it does not.
    kLook,
    kLineStart,
    kLineEnd,
    kTextStart,
    kTextEnd,
  };
  enum class Greed { kGreedy, kLazy, kPossessive };

  Kind kind;
  icu::UnicodeSet set = {};
  std::vector<PatternNode> children = {};

  size_t min = 0;
  // nullopt means any number of times.
  std::optional<size_t> max = std::nullopt;
  Greed greed = Greed::kGreedy;

  bool negated = false;
  bool behind = false;
};

// Reads a regular expression in Oniguruma's syntax. INVALID_ARGUMENT says what is wrong or not supported, and where.
absl::StatusOr<PatternNode> ParsePattern(absl::string_view regex);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_PATTERN_NODE_H_
