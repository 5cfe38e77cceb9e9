#ifndef PREDICTD_SERVER_TEMPLATE_STRING_H_
#define PREDICTD_SERVER_TEMPLATE_STRING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/tokenizer/text_range.h"

namespace predictd {

// Text that knows which of its bytes come from a chat template, and so may be special tokens, and which from whoever
// sent the messages. All operations preserve that. A value type; not thread-safe while it changes.
class TemplateString {
 public:
  TemplateString() = default;

  static TemplateString Trusted(absl::string_view text);
  static TemplateString Untrusted(absl::string_view text);

  const std::string& text() const { return text_; }
  size_t size() const { return text_.size(); }
  bool empty() const { return text_.empty(); }
  // How many bytes a copy takes, including its ranges.
  size_t cost() const { return text_.size() + trusted_.size() * sizeof(TextRange); }

  // The ranges that come from the template: in order, not empty, and not touching.
  const std::vector<TextRange>& trusted() const { return trusted_; }

  void Append(const TemplateString& other);
  void AppendTrusted(absl::string_view text);
  void AppendUntrusted(absl::string_view text) { text_.append(text.data(), text.size()); }
  // Appends the bytes [begin, end) of another string.
  void AppendPart(const TemplateString& other, size_t begin, size_t end);

  TemplateString Part(size_t begin, size_t end) const;

 private:
  void Trust(size_t begin, size_t end);

  std::string text_;
  std::vector<TextRange> trusted_;
};

// The operations of Python's str methods. Positions and lengths are in bytes unless characters are named; a byte that
// is not part of valid UTF-8 counts as a character.

// The number of characters; Python's `text[i]` is the i-th of them.
size_t CountCharacters(absl::string_view text);
// The position of the character that is `count` characters after the one at `from`; at most text.size().
size_t AdvanceCharacters(absl::string_view text, size_t from, size_t count);

// The first position of `part` from `from` on; npos if there is none. Takes linear time, however repetitive the texts
// are.
size_t FindPart(absl::string_view text, absl::string_view part, size_t from);
// The number of occurrences that do not overlap. `part` must not be empty.
size_t CountParts(absl::string_view text, absl::string_view part);

enum class StripSide { kLeft, kRight, kBoth };
// Removes white space, or the characters in `characters` if it is not null.
TemplateString Strip(const TemplateString& text, StripSide side, const std::string* characters);

// Makes at most `max_count` replacements, unless that is negative.
TemplateString Replace(const TemplateString& text, absl::string_view from, const TemplateString& to, int64_t max_count);

// Both functions stop once there are more than `max_parts` parts; the result is then of no use.

// Splits at each `separator`, which must not be empty, or at white space if it is null; at most `max_splits` times
// unless that is negative.
std::vector<TemplateString> Split(const TemplateString& text, const std::string* separator, int64_t max_splits,
                                  size_t max_parts);

// Splits at line ends of all kinds, and leaves them out.
std::vector<TemplateString> SplitLines(const TemplateString& text, size_t max_parts);

enum class LetterCase {
  kUpper,
  kLower,
  // The first letter of the text, of each run of letters, or of each word between white space, dashes and opening
  // brackets becomes upper case, the others lower case.
  kCapitalized,
  kTitle,
  kWords,
};
// Converts by Unicode's rules. Parts that come from the template and parts that do not are converted separately.
TemplateString ConvertCase(const TemplateString& text, LetterCase letter_case);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_STRING_H_
