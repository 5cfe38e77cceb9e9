#ifndef PREDICTD_SERVER_GENERATION_LOSSY_UTF8_H_
#define PREDICTD_SERVER_GENERATION_LOSSY_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace predictd {

// U+FFFD, which takes the place of what is not UTF-8.
inline constexpr absl::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// What a piece of text begins with.
struct Utf8Step {
  enum class Kind {
    kCharacter,
    // The longest part of a character that something else follows: one U+FFFD (the practice of Unicode, WHATWG, Python
    // and Rust).
    kInvalid,
    // The text ends within a character. One U+FFFD if nothing follows.
    kIncomplete,
  };
  Kind kind;
  size_t length;
};

// `text` is not empty.
Utf8Step NextUtf8(absl::string_view text);

// Whether all of it are characters.
bool IsUtf8(absl::string_view text);

// `text` with U+FFFD for what is not UTF-8.
std::string ToUtf8(absl::string_view text);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_LOSSY_UTF8_H_
