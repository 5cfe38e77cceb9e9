#include "server/generation/byte_alphabet.h"

#include <unicode/utf8.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace predictd {
namespace {

constexpr int32_t kNone = -1;
// The invisible ones of the first 256 characters are written as those from here on, in order.
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

}  // namespace predictd
