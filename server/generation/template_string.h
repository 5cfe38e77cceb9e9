#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_STRING_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_STRING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/generation/text_range.h"

namespace predictd {

// Text that knows which of its bytes come from a chat template, and so may be special tokens, and which from whoever
// sent the messages. All operations keep that. A value; not thread-safe while it changes.
class TemplateString {
 public:
  TemplateString() = default;

  static TemplateString Trusted(absl::string_view text);
  static TemplateString Untrusted(absl::string_view text);

  const std::string& text() const { return text_; }
  size_t size() const { return text_.size(); }
  bool empty() const { return text_.empty(); }

  // Those of the template: in order, not empty, none touches the next.
  const std::vector<TextRange>& trusted() const { return trusted_; }

  void Append(const TemplateString& other);
  void AppendTrusted(absl::string_view text);
  void AppendUntrusted(absl::string_view text) { text_.append(text.data(), text.size()); }
  // Bytes [begin, end) of another one.
  void AppendPart(const TemplateString& other, size_t begin, size_t end);

  TemplateString Part(size_t begin, size_t end) const;

 private:
  void Trust(size_t begin, size_t end);

  std::string text_;
  std::vector<TextRange> trusted_;
};

// What Python's methods of str do. Positions and lengths are bytes unless characters are named; a byte that is not
// part of valid UTF-8 counts as a character.

// Characters; `text[i]` of Python is the i-th of them.
size_t CountCharacters(absl::string_view text);
// Where the character begins that is so many characters after the one at `from`; at most text.size().
size_t AdvanceCharacters(absl::string_view text, size_t from, size_t count);

enum class StripSide { kLeft, kRight, kBoth };
// Without white space, or without the characters of `characters` if it is not null.
TemplateString Strip(const TemplateString& text, StripSide side, const std::string* characters);

// At most `max_count` replacements if that is not negative.
TemplateString Replace(const TemplateString& text, absl::string_view from, const TemplateString& to, int64_t max_count);

// At each `separator`, which is not empty, or at white space if it is null; at most `max_splits` times if that is not
// negative.
std::vector<TemplateString> Split(const TemplateString& text, const std::string* separator, int64_t max_splits);

enum class LetterCase {
  kUpper,
  kLower,
  // The first letter of the text, of each run of letters, or of each word between white space, dashes and opening
  // brackets is upper case, the others are lower case.
  kCapitalized,
  kTitle,
  kWords,
};
// By Unicode's rules. What comes from the template and what does not is converted piece by piece.
TemplateString ConvertCase(const TemplateString& text, LetterCase letter_case);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_STRING_H_
