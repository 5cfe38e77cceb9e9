#include "client/predictctl/utf8.h"

#include <algorithm>
#include <cstdint>

namespace predictd {
namespace {

// The number that the first byte announces; 0 if no character begins with it.
std::size_t AnnouncedBytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;  // Continues a character, or begins one that is encoded longer than necessary.
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

bool IsCodePoint(std::uint32_t point, std::size_t bytes) {
  if (bytes == 3) return point >= 0x800 && (point < 0xd800 || point > 0xdfff);
  return bytes < 3 || (point >= 0x10000 && point <= 0x10ffff);
}

}  // namespace

std::size_t CharacterBytes(absl::string_view text) {
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t bytes = AnnouncedBytes(lead);
  if (bytes > text.size()) return 0;
  std::uint32_t point = lead & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0U) != 0x80U) return 0;
    point = point << 6U | (byte & 0x3fU);
  }
  return IsCodePoint(point, bytes) ? bytes : 0;
}

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = CharacterBytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::size_t ColumnsOf(absl::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace predictd
