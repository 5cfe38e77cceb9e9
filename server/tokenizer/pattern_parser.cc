#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/text/utf8.h"
#include "server/tokenizer/pattern_node.h"

namespace predictd {
namespace {

constexpr int kMaxGroupDepth = 50;
constexpr size_t kMaxRepeats = 1000;
// In Oniguruma, the superscript digits and fractions of Latin-1 belong to words.
constexpr char kWord[] = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u00B2\\u00B3\\u00B9\\u00BC-\\u00BE]";

icu::UnicodeSet SetOf(const char* pattern) {
  UErrorCode error = U_ZERO_ERROR;
  return icu::UnicodeSet(icu::UnicodeString::fromUTF8(pattern), error);
}

// Reads one expression from left to right. The first error is kept and ends the reading.
class Parser {
 public:
  explicit Parser(absl::string_view regex)
      : regex_(icu::UnicodeString::fromUTF8(icu::StringPiece(regex.data(), static_cast<int32_t>(regex.size())))) {}

  absl::StatusOr<PatternNode> Parse() {
    PatternNode node = Alternation(0);
    if (error_.ok() && !AtEnd()) Fail("')' closes nothing");
    if (!error_.ok()) return error_;
    return node;
  }

 private:
  bool AtEnd() const { return next_ >= regex_.length(); }
  UChar32 Peek() const { return AtEnd() ? -1 : regex_.char32At(next_); }
  bool LooksAt(const char* ascii) const {
    return regex_.compare(next_, static_cast<int32_t>(strlen(ascii)), icu::UnicodeString(ascii, -1, US_INV)) == 0;
  }
  bool Accept(const char* ascii) {
    if (!LooksAt(ascii)) return false;
    next_ += static_cast<int32_t>(strlen(ascii));
    return true;
  }
  UChar32 Take() {
    if (AtEnd()) {
      Fail("something is missing");
      return 0;
    }
    const UChar32 c = Peek();
    next_ += U16_LENGTH(c);
    return c;
  }
  void Fail(absl::string_view reason) {
    if (error_.ok()) error_ = absl::InvalidArgumentError(absl::StrCat("at character ", next_, ": ", reason));
    // This ends the reading.
    next_ = regex_.length();
  }

  PatternNode Alternation(int depth) {
    PatternNode result{PatternNode::Kind::kAlternation};
    if (depth > kMaxGroupDepth) Fail("groups are nested too deeply");
    do {
      result.children.push_back(Sequence(depth));
    } while (Accept("|"));
    if (result.children.size() > 1) return result;
    return std::move(result.children.front());
  }

  PatternNode Sequence(int depth) {
    PatternNode result{PatternNode::Kind::kSequence};
    while (!AtEnd() && Peek() != '|' && Peek() != ')') {
      CheckPair();
      result.children.push_back(Repeated(depth));
    }
    return result;
  }

  // When case is ignored, Oniguruma also matches a ligature in place of one of these pairs.
  void CheckPair() {
    if (!ignore_case_) return;
    for (const char* pair : {"ss", "ff", "fi", "fl", "st"}) {
      icu::UnicodeString next(regex_, next_, 2);
      if (next.foldCase() == icu::UnicodeString(pair, -1, US_INV)) {
        Fail("letters that are one character in another case are not supported");
      }
    }
  }

  PatternNode Repeated(int depth) {
    PatternNode item = Item(depth);
    PatternNode repeat{PatternNode::Kind::kRepeat};
    if (Accept("+")) {
      repeat.min = 1;
    } else if (Accept("?")) {
      repeat.max = 1;
    } else if (Interval(repeat)) {
      if (LooksAt("?") || LooksAt("+")) Fail("'?' and '+' behind an interval are not supported");
    } else if (!Accept("*")) {
      return item;
    }
    if (Accept("?")) repeat.greed = PatternNode::Greed::kLazy;
    if (Accept("+")) repeat.greed = PatternNode::Greed::kPossessive;
    if (LooksAt("*") || LooksAt("+") || LooksAt("?")) Fail("a repetition of a repetition is not supported");
    repeat.children.push_back(std::move(item));
    return repeat;
  }

  // {3}, {1,3}, {1,} or {,3}; anything else in braces is text.
  bool Interval(PatternNode& repeat) {
    const int32_t before = next_;
    if (!Accept("{")) return false;
    const std::optional<size_t> min = Number();
    std::optional<size_t> max = min;
    if (Accept(",")) max = Number();
    const bool any = min.has_value() || max.has_value();
    if (!any || !Accept("}")) {
      next_ = before;
      return false;
    }
    repeat.min = min.value_or(0);
    repeat.max = max;
    if (repeat.min > kMaxRepeats || max.value_or(0) > kMaxRepeats) Fail("too many repetitions");
    if (max.has_value() && *max < repeat.min) Fail("the interval's limits are the wrong way round");
    return true;
  }

  std::optional<size_t> Number() {
    if (!u_isdigit(Peek()) || Peek() > '9') return std::nullopt;
    size_t number = 0;
    while (Peek() >= '0' && Peek() <= '9')
      number = std::min<size_t>(number * 10 + static_cast<size_t>(Take() - '0'), kMaxRepeats + 1);
    return number;
  }

  PatternNode Item(int depth) {
    if (LooksAt("(")) return Group(depth);
    if (Accept("[")) return Of(Class(0));
    if (Accept(".")) return Of(SetOf("[^\\n]"));
    if (Accept("^")) return {PatternNode::Kind::kLineStart};
    if (Accept("$")) return {PatternNode::Kind::kLineEnd};
    if (Accept("\\A")) return {PatternNode::Kind::kTextStart};
    if (Accept("\\z")) return {PatternNode::Kind::kTextEnd};
    if (LooksAt("*") || LooksAt("+") || LooksAt("?")) Fail("there is nothing to repeat");
    if (Accept("\\")) return Of(Folded(Escape()));
    const UChar32 c = Take();
    return Of(Folded(icu::UnicodeSet(c, c)));
  }

  static PatternNode Of(const icu::UnicodeSet& set) { return {PatternNode::Kind::kSet, set}; }

  icu::UnicodeSet Folded(icu::UnicodeSet set) {
    if (!ignore_case_) return set;
    set.closeOver(USET_CASE_INSENSITIVE);
    if (set.hasStrings()) Fail("characters that are several in another case are not supported");
    return set;
  }

  PatternNode Group(int depth) {
    const bool outer_ignore_case = ignore_case_;
    PatternNode result{PatternNode::Kind::kLook};
    const bool look = Look(result);
    if (!look && !Accept("(?:")) {
      if (Accept("(?i:")) {
        ignore_case_ = true;
      } else if (Accept("(?-i:")) {
        ignore_case_ = false;
      } else if (LooksAt("(?")) {
        Fail("this kind of group is not supported");
      } else {
        Take();
      }
    }
    PatternNode inner = Alternation(depth + 1);
    ignore_case_ = outer_ignore_case;
    if (!Accept(")")) Fail("')' is missing");
    if (!look) return inner;
    while (inner.kind == PatternNode::Kind::kSequence && inner.children.size() == 1)
      inner = PatternNode(std::move(inner.children.front()));
    if (inner.kind != PatternNode::Kind::kSet) Fail("looking at anything but one character is not supported");
    result.set = inner.set;
    return result;
  }

  bool Look(PatternNode& node) {
    node.behind = LooksAt("(?<=") || LooksAt("(?<!");
    node.negated = LooksAt("(?!") || LooksAt("(?<!");
    return Accept("(?=") || Accept("(?!") || Accept("(?<=") || Accept("(?<!");
  }

  // Reads the rest of a bracket expression, after its opening bracket.
  icu::UnicodeSet Class(int depth) {
    icu::UnicodeSet result(0, 0x10FFFF);
    icu::UnicodeSet part;
    if (depth > kMaxGroupDepth) Fail("classes are nested too deeply");
    if (LooksAt(":")) Fail("POSIX classes are not supported");
    const bool negated = Accept("^");
    if (LooksAt("]")) Fail("a class must not be empty");
    while (!Accept("]")) {
      if (AtEnd()) {
        Fail("']' is missing");
        break;
      }
      if (Accept("&&")) {
        result.retainAll(part);
        part.clear();
      } else if (Accept("[")) {
        part.addAll(Class(depth + 1));
      } else {
        ClassItem(part);
      }
    }
    result.retainAll(part);
    result = Folded(result);
    if (negated) result.complement();
    return result;
  }

  // A character, a range or an escape.
  void ClassItem(icu::UnicodeSet& part) {
    const icu::UnicodeSet first = ClassCharacter();
    const bool range = LooksAt("-") && !LooksAt("-]") && !LooksAt("-[") && !LooksAt("-&&") && first.size() == 1;
    if (!range) {
      part.addAll(first);
      return;
    }
    Accept("-");
    const icu::UnicodeSet last = ClassCharacter();
    if (last.size() != 1 || last.charAt(0) < first.charAt(0)) Fail("this is no range");
    if (error_.ok()) part.add(first.charAt(0), last.charAt(0));
  }

  icu::UnicodeSet ClassCharacter() {
    if (Accept("\\")) return Escape();
    const UChar32 c = Take();
    return icu::UnicodeSet(c, c);
  }

  // Reads what follows a backslash.
  icu::UnicodeSet Escape() {
    if (LooksAt("p") || LooksAt("P")) return Property();
    const UChar32 c = Take();
    switch (c) {
      case 's':
        return SetOf("[\\p{White_Space}]");
      case 'S':
        return SetOf("[^\\p{White_Space}]");
      case 'd':
        return SetOf("[\\p{Nd}]");
      case 'D':
        return SetOf("[^\\p{Nd}]");
      case 'w':
        return SetOf(kWord);
      case 'W':
        return SetOf(kWord).complement();
      case 'n':
        return icu::UnicodeSet('\n', '\n');
      case 'r':
        return icu::UnicodeSet('\r', '\r');
      case 't':
        return icu::UnicodeSet('\t', '\t');
      case 'f':
        return icu::UnicodeSet('\f', '\f');
      case 'v':
        return icu::UnicodeSet('\v', '\v');
      case 'x':
      case 'u':
        return CodePoint(c);
      default:
        // Other letters and digits would be anchors, back references and the like.
        if (c < 0x80 && u_isalnum(c))
          Fail(absl::StrCat("\\", std::string(1, static_cast<char>(c)), " is not supported"));
        return icu::UnicodeSet(c, c);
    }
  }

  // {20AC} after \x, 20AC after \u, or two digits of an ASCII character after \x.
  icu::UnicodeSet CodePoint(UChar32 kind) {
    const bool braces = kind == 'x' && Accept("{");
    const int digits = braces ? 8 : kind == 'u' ? 4 : 2;
    UChar32 value = 0;
    int count = 0;
    for (; count < digits && Peek() < 0x80 && u_isxdigit(Peek()); ++count)
      value = std::min(value * 16 + u_digit(Take(), 16), 0x110000);
    if (count == 0 || (!braces && count < digits) || (braces && !Accept("}"))) Fail("hexadecimal digits are missing");
    if (value > 0x10FFFF || U_IS_SURROGATE(value)) Fail("there is no such character");
    if (kind == 'x' && !braces && value >= 0x80) Fail("a single byte is no character");
    return icu::UnicodeSet(value, value);
  }

  // p{L}, P{L} or p{^L}.
  icu::UnicodeSet Property() {
    bool negated = Take() == 'P';
    if (!Accept("{")) Fail("'{' is missing");
    if (Accept("^")) negated = !negated;
    std::string name;
    while (!AtEnd() && Peek() != '}')
      absl::StrAppend(&name, std::string(1, Peek() < 0x80 ? static_cast<char>(Take()) : (Take(), '?')));
    if (!Accept("}")) Fail("'}' is missing");
    icu::UnicodeSet set;
    UErrorCode error = U_ZERO_ERROR;
    set.applyPattern(icu::UnicodeString::fromUTF8(absl::StrCat("[\\p{", name, "}]")), error);
    if (U_FAILURE(error)) Fail(absl::StrCat("there is no property '", name, "'"));
    if (negated) set.complement();
    return set;
  }

  const icu::UnicodeString regex_;
  int32_t next_ = 0;
  bool ignore_case_ = false;
  absl::Status error_;
};

}  // namespace

absl::StatusOr<PatternNode> ParsePattern(absl::string_view regex) {
  if (!IsUtf8(regex)) return absl::InvalidArgumentError("not UTF-8");
  return Parser(regex).Parse();
}

}  // namespace predictd
