#ifndef PREDICTD_SERVER_GENERATION_PATTERN_H_
#define PREDICTD_SERVER_GENERATION_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/generation/char_set.h"

namespace predictd {

// A regular expression as tokenizer.json has them: Oniguruma's syntax, as far as tokenizers use it, with the same first
// match. Finding all matches takes time and memory in proportion to the text, whatever the pattern: server/README.md
// says why it is not ICU's. Immutable; any thread may call it.
class Pattern {
 public:
  struct Match {
    size_t begin;
    size_t end;
  };

  // INVALID_ARGUMENT says what is wrong or not supported. Not supported are what looks at more than one character ahead
  // or behind, back references, and rare notations.
  static absl::StatusOr<Pattern> Parse(absl::string_view regex);
  // Matches just `text`.
  static absl::StatusOr<Pattern> Literal(absl::string_view text);

 private:
  friend class PatternCompiler;
  friend class PatternMatcher;

  enum class Op : uint8_t {
    kMatch,
    // A character of the set.
    kSet,
    // As many of the set as there are, or less. If possessive, never less.
    kRun,
    // One of the set, or if there is none, nothing.
    kPossessiveOptional,
    // `target`, or the instruction `other`.
    kSplit,
    kJump,
    // Whether what follows (or precedes) is of the set; the end of the text is not.
    kLookahead,
    kLookbehind,
    kLineStart,
    kLineEnd,
    kTextStart,
    kTextEnd,
  };
  struct Instruction {
    Op op;
    // Of kLookahead and kLookbehind.
    bool negated = false;
    // Of kRun.
    bool possessive = false;
    size_t set = 0;
    size_t target = 0;
    size_t other = 0;
    // Numbers those that remember where they have been: kSplit and kRun.
    size_t choice = 0;
  };

  std::vector<CharSet> sets_;
  std::vector<Instruction> program_;
  size_t choices_ = 0;
};

// Finds the matches of a pattern in a text one after the other. For one thread; both outlive it.
//
// It backtracks, but remembers which instruction has been tried where: what failed there once fails again, wherever the
// match began, so that nothing is tried twice.
class PatternMatcher {
 public:
  // `text` is UTF-8.
  PatternMatcher(const Pattern& pattern, absl::string_view text);

  // False if there is no more.
  bool Next(Pattern::Match& match);

 private:
  // What to try if all after it fails.
  struct Alternative {
    // A run that reaches to `position`, and may give back down to `lowest`; or where to go on.
    bool is_run;
    size_t instruction;
    size_t position;
    size_t lowest;
  };

  bool MatchFrom(size_t begin, size_t& end);
  // Follows the program until it matches or fails.
  bool Advance(size_t instruction, size_t& position);
  // Goes to the end of a run.
  bool AdvanceRun(size_t instruction, size_t& position);
  bool Holds(const Pattern::Instruction& assertion, size_t position) const;
  // Remembers a try, and says whether it is the first.
  bool IsNew(size_t choice, size_t position);
  bool IsTried(size_t choice, size_t position) const;
  void Forget(size_t position);

  const Pattern& pattern_;
  const absl::string_view text_;
  // A bit for each choice and position.
  absl::InlinedVector<uint64_t, 32> tried_;
  std::vector<Alternative> alternatives_;
  size_t next_ = 0;
  // End of the last match, if there was one.
  size_t last_end_ = absl::string_view::npos;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_PATTERN_H_
