#include "server/telemetry/utf8.h"

#include <algorithm>

namespace predictd {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr std::string_view kReplacementBytes = "\xEF\xBF\xBD";

}  // namespace

Utf8Char DecodeUtf8Char(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};

  size_t length = 0;
  char32_t smallest = 0;
  char32_t code_point = 0;
  if ((lead & 0xE0) == 0xC0) {
    length = 2, smallest = 0x80, code_point = lead & 0x1F;
  } else if ((lead & 0xF0) == 0xE0) {
    length = 3, smallest = 0x800, code_point = lead & 0x0F;
  } else if ((lead & 0xF8) == 0xF0) {
    length = 4, smallest = 0x10000, code_point = lead & 0x07;
  } else {
    return {kReplacement, 1};
  }
  if (text.size() < length) return {kReplacement, 1};
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {kReplacement, 1};
    code_point = (code_point << 6) | (byte(i) & 0x3F);
  }
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (code_point < smallest || code_point > 0x10FFFF || surrogate) return {kReplacement, 1};
  return {code_point, length};
}

std::string ToValidUtf8(std::string_view text, size_t max_bytes) {
  std::string result;
  result.reserve(std::min(text.size(), max_bytes));
  while (!text.empty()) {
    const Utf8Char next = DecodeUtf8Char(text);
    const bool replaced = next.code_point == kReplacement && next.length == 1;
    const std::string_view bytes = replaced ? kReplacementBytes : text.substr(0, next.length);
    if (result.size() + bytes.size() > max_bytes) break;
    result += bytes;
    text.remove_prefix(next.length);
  }
  return result;
}

}  // namespace predictd
