#ifndef PREDICTD_SERVER_TOKENIZER_PATTERN_H_
#define PREDICTD_SERVER_TOKENIZER_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/char_set.h"

namespace predictd {

// A regular expression as tokenizer.json files contain it: Oniguruma's syntax, as far as tokenizers use it, with the
// same first match. Finding all matches takes time and memory in proportion to the text, whatever the pattern;
// decisions/text.md says why this is not ICU's. Immutable; any thread may call it.
class Pattern {
 public:
  struct Match {
    size_t begin;
    size_t end;
  };

  // INVALID_ARGUMENT says what is wrong or not supported. Lookaheads and lookbehinds of more than one character, back
  // references, and rare notations are not supported.
  static absl::StatusOr<Pattern> Parse(absl::string_view regex);
  // A pattern that matches exactly `text`.
  static absl::StatusOr<Pattern> Literal(absl::string_view text);

 private:
  friend class PatternCompiler;
  friend class PatternMatcher;

  enum class Op : uint8_t {
    kMatch,
    // A character of the set.
    kSet,
    // As many characters of the set as there are, or fewer; if possessive, never fewer.
    kRun,
    // One character of the set if there is one, otherwise nothing.
    kPossessiveOptional,
    // Continues at the instruction `target`, or else at `other`.
    kSplit,
    kJump,
    // Whether the next (or the previous) character is of the set. There is none at the end (or the beginning) of the
    // text.
    kLookahead,
    kLookbehind,
    kLineStart,
    kLineEnd,
    kTextStart,
    kTextEnd,
  };
  struct Instruction {
    Op op;
    // For kLookahead and kLookbehind.
    bool negated = false;
    // For kRun.
    bool possessive = false;
    size_t set = 0;
    size_t target = 0;
    size_t other = 0;
    // Numbers the instructions that remember where they have been tried: kSplit and kRun.
    size_t choice = 0;
  };

  std::vector<CharSet> sets_;
  std::vector<Instruction> program_;
  size_t choices_ = 0;
};

// Finds the matches of a pattern in a text one after the other. For one thread; the pattern and the text must outlive
// it.
//
// It backtracks, but remembers which instruction has been tried where: what failed there once fails again, wherever the
// match began, so nothing is tried twice.
class PatternMatcher {
 public:
  // `text` must be UTF-8.
  PatternMatcher(const Pattern& pattern, absl::string_view text);

  // False if there are no more matches.
  bool Next(Pattern::Match& match);

 private:
  // What to try if everything after it fails.
  struct Alternative {
    // Either a run that reaches to `position` and may give back characters down to `lowest`, or an instruction and
    // position at which to continue.
    bool is_run;
    size_t instruction;
    size_t position;
    size_t lowest;
  };

  bool MatchFrom(size_t begin, size_t& end);
  // Follows the program until it matches or fails.
  bool Advance(size_t instruction, size_t& position);
  // Moves `position` to the end of a run.
  bool AdvanceRun(size_t instruction, size_t& position);
  bool Holds(const Pattern::Instruction& assertion, size_t position) const;
  // Records an attempt, and returns whether it is the first.
  bool IsNew(size_t choice, size_t position);
  bool IsTried(size_t choice, size_t position) const;
  void Forget(size_t position);

  const Pattern& pattern_;
  const absl::string_view text_;
  // One bit for each choice and position.
  absl::InlinedVector<uint64_t, 32> tried_;
  std::vector<Alternative> alternatives_;
  size_t next_ = 0;
  // The end of the last match, if there was one.
  size_t last_end_ = absl::string_view::npos;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_PATTERN_H_
