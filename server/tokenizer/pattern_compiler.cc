#include <unicode/utf8.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/tokenizer/pattern.h"
#include "server/tokenizer/pattern_node.h"

namespace predictd {
namespace {

// A matcher needs this many bits for each byte of the text.
constexpr size_t kMaxChoices = 1024;
constexpr size_t kMaxInstructions = 65536;

}  // namespace

// Writes the program of one Pattern.
class PatternCompiler {
 public:
  absl::StatusOr<Pattern> Compile(const PatternNode& node) {
    Emit(node);
    Add({Pattern::Op::kMatch});
    if (pattern_.choices_ > kMaxChoices || pattern_.program_.size() > kMaxInstructions) {
      return absl::InvalidArgumentError("the pattern is too large");
    }
    if (possessive_group_) return absl::InvalidArgumentError("possessive repetition of a group is not supported");
    return std::move(pattern_);
  }

 private:
  using Op = Pattern::Op;

  // Returns the index of the instruction. A program that is too long is cut off, because Compile refuses it anyway.
  size_t Add(const Pattern::Instruction& instruction) {
    if (pattern_.program_.size() > kMaxInstructions) return kMaxInstructions;
    pattern_.program_.push_back(instruction);
    return pattern_.program_.size() - 1;
  }

  size_t End() const { return pattern_.program_.size(); }

  void Emit(const PatternNode& node) {
    switch (node.kind) {
      case PatternNode::Kind::kSet:
        AddSet({Op::kSet}, node.set);
        break;
      case PatternNode::Kind::kSequence:
        for (const PatternNode& child : node.children) Emit(child);
        break;
      case PatternNode::Kind::kAlternation:
        EmitAlternation(node);
        break;
      case PatternNode::Kind::kRepeat:
        EmitRepeat(node);
        break;
      case PatternNode::Kind::kLook:
        AddSet({node.behind ? Op::kLookbehind : Op::kLookahead, node.negated}, node.set);
        break;
      case PatternNode::Kind::kLineStart:
        Add({Op::kLineStart});
        break;
      case PatternNode::Kind::kLineEnd:
        Add({Op::kLineEnd});
        break;
      case PatternNode::Kind::kTextStart:
        Add({Op::kTextStart});
        break;
      case PatternNode::Kind::kTextEnd:
        Add({Op::kTextEnd});
        break;
    }
  }

  size_t AddSet(Pattern::Instruction instruction, const icu::UnicodeSet& set) {
    CharSet chars(set);
    const auto found = std::find(pattern_.sets_.begin(), pattern_.sets_.end(), chars);
    instruction.set = static_cast<size_t>(found - pattern_.sets_.begin());
    if (found == pattern_.sets_.end()) pattern_.sets_.push_back(std::move(chars));
    return Add(instruction);
  }

  size_t AddSplit() {
    Pattern::Instruction split{Op::kSplit};
    split.choice = pattern_.choices_++;
    return Add(split);
  }

  void SetTargets(size_t split, size_t target, size_t other) {
    if (split >= pattern_.program_.size()) return;
    pattern_.program_[split].target = target;
    pattern_.program_[split].other = other;
  }

  void EmitAlternation(const PatternNode& node) {
    std::vector<size_t> jumps;
    for (size_t index = 0; index + 1 < node.children.size(); ++index) {
      const size_t split = AddSplit();
      Emit(node.children[index]);
      jumps.push_back(Add({Op::kJump}));
      SetTargets(split, split + 1, End());
    }
    Emit(node.children.back());
    for (const size_t jump : jumps) SetTargets(jump, End(), End());
  }

  void EmitRepeat(const PatternNode& node) {
    const PatternNode& child = node.children.front();
    const bool possessive = node.greed == PatternNode::Greed::kPossessive;
    const bool one_character = child.kind == PatternNode::Kind::kSet;
    possessive_group_ = possessive_group_ || (possessive && !one_character);
    for (size_t count = 0; count < node.min && End() < kMaxInstructions; ++count) Emit(child);
    if (node.max.has_value()) {
      EmitOptional(node, *node.max - node.min);
    } else if (one_character && node.greed != PatternNode::Greed::kLazy) {
      Pattern::Instruction run{Op::kRun};
      run.possessive = possessive;
      run.choice = pattern_.choices_++;
      AddSet(run, child.set);
    } else {
      const size_t split = AddSplit();
      Emit(child);
      SetTargets(Add({Op::kJump}), split, split);
      SetExit(split, node);
    }
  }

  // The child, at most `count` times.
  void EmitOptional(const PatternNode& node, size_t count) {
    const PatternNode& child = node.children.front();
    if (node.greed == PatternNode::Greed::kPossessive) {
      // This is only '?+': a '+' after an interval does not make it possessive.
      AddSet({Op::kPossessiveOptional}, child.set);
      return;
    }
    std::vector<size_t> splits;
    for (size_t index = 0; index < count && End() < kMaxInstructions; ++index) {
      splits.push_back(AddSplit());
      Emit(child);
    }
    for (const size_t split : splits) SetExit(split, node);
  }

  // Makes a split choose between what follows it and the end of the program.
  void SetExit(size_t split, const PatternNode& node) {
    node.greed == PatternNode::Greed::kLazy ? SetTargets(split, End(), split + 1) : SetTargets(split, split + 1, End());
  }

  Pattern pattern_;
  bool possessive_group_ = false;
};

absl::StatusOr<Pattern> Pattern::Parse(absl::string_view regex) {
  absl::StatusOr<PatternNode> node = ParsePattern(regex);
  if (!node.ok()) return node.status();
  return PatternCompiler().Compile(*node);
}

absl::StatusOr<Pattern> Pattern::Literal(absl::string_view text) {
  PatternNode node{PatternNode::Kind::kSequence};
  for (size_t next = 0; next < text.size();) {
    UChar32 character = 0;
    U8_NEXT_UNSAFE(text.data(), next, character);
    node.children.push_back({PatternNode::Kind::kSet, icu::UnicodeSet(character, character)});
  }
  return PatternCompiler().Compile(node);
}

}  // namespace predictd
