#include "server/tokenizer/pattern.h"

#include <unicode/utf8.h>

namespace predictd {
namespace {

constexpr size_t kWordBits = 64;

size_t Before(absl::string_view text, size_t position) {
  U8_BACK_1_UNSAFE(text.data(), position);
  return position;
}

size_t After(absl::string_view text, size_t position) {
  if (position < text.size()) U8_FWD_1_UNSAFE(text.data(), position);
  return position;
}

}  // namespace

PatternMatcher::PatternMatcher(const Pattern& pattern, absl::string_view text)
    : pattern_(pattern),
      text_(text),
      tried_((pattern.choices_ * (text.size() + 1) + kWordBits - 1) / kWordBits, uint64_t{0}) {}

bool PatternMatcher::Next(Pattern::Match& match) {
  while (next_ <= text_.size()) {
    size_t end = 0;
    const size_t begin = next_;
    const bool found = MatchFrom(begin, end);
    // An empty match right after the last match does not count.
    if (!found || (begin == end && end == last_end_)) {
      next_ = begin < text_.size() ? After(text_, begin) : begin + 1;
      continue;
    }
    match = {begin, end};
    next_ = end;
    last_end_ = end;
    return true;
  }
  return false;
}

bool PatternMatcher::MatchFrom(size_t begin, size_t& end) {
  alternatives_.clear();
  size_t instruction = 0;
  size_t position = begin;
  while (!Advance(instruction, position)) {
    if (alternatives_.empty()) return false;
    Alternative& alternative = alternatives_.back();
    if (!alternative.is_run) {
      instruction = alternative.instruction;
      position = alternative.position;
      alternatives_.pop_back();
      continue;
    }
    // The run gives back a character. A run that began where this one has ended so far would have failed, too.
    IsNew(pattern_.program_[alternative.instruction].choice, alternative.position);
    alternative.position = Before(text_, alternative.position);
    instruction = alternative.instruction + 1;
    position = alternative.position;
    if (position == alternative.lowest) alternatives_.pop_back();
  }
  end = position;
  // What was tried at the end of the match did not fail.
  Forget(end);
  return true;
}

bool PatternMatcher::Advance(size_t instruction, size_t& position) {
  for (;;) {
    const Pattern::Instruction& now = pattern_.program_[instruction];
    switch (now.op) {
      case Pattern::Op::kMatch:
        return true;
      case Pattern::Op::kSet:
        if (!pattern_.sets_[now.set].Consume(text_, position)) return false;
        ++instruction;
        break;
      case Pattern::Op::kRun:
        if (!AdvanceRun(instruction, position)) return false;
        ++instruction;
        break;
      case Pattern::Op::kPossessiveOptional:
        pattern_.sets_[now.set].Consume(text_, position);
        ++instruction;
        break;
      case Pattern::Op::kSplit:
        if (!IsNew(now.choice, position)) return false;
        alternatives_.push_back({false, now.other, position, position});
        instruction = now.target;
        break;
      case Pattern::Op::kJump:
        instruction = now.target;
        break;
      default:
        if (!Holds(now, position)) return false;
        ++instruction;
    }
  }
}

bool PatternMatcher::AdvanceRun(size_t instruction, size_t& position) {
  const Pattern::Instruction& run = pattern_.program_[instruction];
  if (!IsNew(run.choice, position)) return false;
  const size_t lowest = position;
  for (size_t next = position; pattern_.sets_[run.set].Consume(text_, next); position = next) {
    if (!IsTried(run.choice, next)) continue;
    // A run from here has failed with each end that it can have; only the ends before this position are left.
    if (run.possessive) return false;
    break;
  }
  if (!run.possessive && position > lowest) alternatives_.push_back({true, instruction, position, lowest});
  return true;
}

bool PatternMatcher::Holds(const Pattern::Instruction& assertion, size_t position) const {
  switch (assertion.op) {
    case Pattern::Op::kLookahead:
      return pattern_.sets_[assertion.set].Consume(text_, position) != assertion.negated;
    case Pattern::Op::kLookbehind: {
      if (position == 0) return assertion.negated;
      size_t before = Before(text_, position);
      return pattern_.sets_[assertion.set].Consume(text_, before) != assertion.negated;
    }
    case Pattern::Op::kLineStart:
      // As in Oniguruma, no line begins after a line feed at the end of the text.
      return position == 0 || (text_[position - 1] == '\n' && position < text_.size());
    case Pattern::Op::kLineEnd:
      return position == text_.size() || text_[position] == '\n';
    case Pattern::Op::kTextStart:
      return position == 0;
    default:
      return position == text_.size();
  }
}

bool PatternMatcher::IsTried(size_t choice, size_t position) const {
  const size_t bit = position * pattern_.choices_ + choice;
  return ((tried_[bit / kWordBits] >> (bit % kWordBits)) & 1) != 0;
}

bool PatternMatcher::IsNew(size_t choice, size_t position) {
  if (IsTried(choice, position)) return false;
  const size_t bit = position * pattern_.choices_ + choice;
  tried_[bit / kWordBits] |= uint64_t{1} << (bit % kWordBits);
  return true;
}

void PatternMatcher::Forget(size_t position) {
  for (size_t choice = 0; choice < pattern_.choices_; ++choice) {
    const size_t bit = position * pattern_.choices_ + choice;
    tried_[bit / kWordBits] &= ~(uint64_t{1} << (bit % kWordBits));
  }
}

}  // namespace predictd
