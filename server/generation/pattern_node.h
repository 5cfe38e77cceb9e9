#ifndef PREDICTD_SERVER_GENERATION_PATTERN_NODE_H_
#define PREDICTD_SERVER_GENERATION_PATTERN_NODE_H_

#include <unicode/uniset.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// What a regular expression means, before it becomes a Pattern.
struct PatternNode {
  enum class Kind {
    // A character of `set`.
    kSet,
    // `children`, one after the other.
    kSequence,
    // The first of `children` that lets the whole match.
    kAlternation,
    // `children[0]` repeated.
    kRepeat,
    // A character of `set` follows, or with `behind` precedes; or, if negated, does not.
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
  // Nothing: any number of times.
  std::optional<size_t> max = std::nullopt;
  Greed greed = Greed::kGreedy;

  bool negated = false;
  bool behind = false;
};

// Reads a regular expression in Oniguruma's syntax. INVALID_ARGUMENT says what is wrong or not supported, and where.
absl::StatusOr<PatternNode> ParsePattern(absl::string_view regex);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_PATTERN_NODE_H_
