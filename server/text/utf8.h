#ifndef PREDICTD_SERVER_TEXT_UTF8_H_
#define PREDICTD_SERVER_TEXT_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/strings/string_view.h"

// UTF-8 as Unicode defines it: overlong forms, surrogates and values above U+10FFFF are invalid. Replacement follows
// the practice that Unicode, WHATWG, Python and Rust share: the longest part of a character that something else follows
// becomes one U+FFFD.

namespace predictd {

// U+FFFD, which replaces what is not UTF-8.
inline constexpr absl::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// What a piece of text begins with.
struct Utf8Step {
  enum class Kind {
    kCharacter,
    // The bytes are no character, whatever follows them.
    kInvalid,
    // The text ends within a character.
    kIncomplete,
  };
  Kind kind;
  // In bytes; at least 1.
  size_t length;
  // U+FFFD unless it is a character.
  char32_t code_point;
};

// Reads the beginning of `text`, which is not empty.
Utf8Step NextUtf8(absl::string_view text);

// Returns whether all of `text` is UTF-8.
bool IsUtf8(absl::string_view text);

// Returns whether `text` is one character and nothing else.
bool IsOneCharacter(absl::string_view text);

// Returns `text` with U+FFFD in place of what is not UTF-8, cut between two characters to `max_bytes` or less.
std::string ToUtf8(std::string_view text, size_t max_bytes = std::string::npos);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEXT_UTF8_H_
