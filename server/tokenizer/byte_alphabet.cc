#include "server/tokenizer/byte_alphabet.h"

#include <unicode/utf8.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace predictd {
namespace {

constexpr int32_t kNone = -1;
// The invisible ones of the first 256 characters are written as the characters from this one on, in order.
constexpr size_t kShifted = 256;
constexpr size_t kInvisible = 68;

constexpr bool IsVisible(size_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<int32_t, kShifted + kInvisible> MakeBytes() {
  std::array<int32_t, kShifted + kInvisible> bytes{};
  size_t shifted = kShifted;
  for (size_t byte = 0; byte < 256; ++byte) {
    bytes[byte] = IsVisible(byte) ? static_cast<int32_t>(byte) : kNone;
    if (!IsVisible(byte)) bytes[shifted++] = static_cast<int32_t>(byte);
  }
  return bytes;
}

constexpr std::array<char16_t, 256> MakeCharacters() {
  std::array<char16_t, 256> characters{};
  const std::array bytes = MakeBytes();
  for (size_t character = 0; character < bytes.size(); ++character) {
    if (bytes[character] != kNone) characters[static_cast<size_t>(bytes[character])] = static_cast<char16_t>(character);
  }
  return characters;
}

}  // namespace

std::optional<std::string> BytesFromAlphabet(absl::string_view text) {
  static constexpr std::array kBytes = MakeBytes();
  std::string result;
  for (size_t next = 0; next < text.size();) {
    UChar32 character = 0;
    U8_NEXT_UNSAFE(text.data(), next, character);
    const auto index = static_cast<size_t>(character);
    if (index >= kBytes.size() || kBytes[index] == kNone) return std::nullopt;
    result.push_back(static_cast<char>(kBytes[index]));
  }
  return result;
}

std::string AlphabetFromBytes(absl::string_view bytes) {
  static constexpr std::array kCharacters = MakeCharacters();
  std::string result;
  for (const char byte : bytes) {
    const char16_t character = kCharacters[static_cast<uint8_t>(byte)];
    // All characters are below U+0800.
    if (character < 0x80) {
      result.push_back(static_cast<char>(character));
    } else {
      result.push_back(static_cast<char>(0xC0 | (character >> 6)));
      result.push_back(static_cast<char>(0x80 | (character & 0x3F)));
    }
  }
  return result;
}

}  // namespace predictd
