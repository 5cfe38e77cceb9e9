#ifndef PREDICTD_SERVER_TELEMETRY_UTF8_H_
#define PREDICTD_SERVER_TELEMETRY_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace predictd {

// The first character of a text, and how many bytes it takes. An invalid byte decodes as U+FFFD and takes one byte.
struct Utf8Char {
  char32_t code_point;
  size_t length;
};

// Decodes the first character of `text`, which must not be empty. Overlong forms, surrogates and values above U+10FFFF
// are invalid.
Utf8Char DecodeUtf8Char(std::string_view text);

// A copy of `text` in which every invalid byte is replaced by U+FFFD, cut between two characters to `max_bytes` or
// less.
std::string ToValidUtf8(std::string_view text, size_t max_bytes);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_UTF8_H_
