#include "server/text/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace predictd {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// What may follow a lead byte: the number of bytes, and the limits of the first of them (Unicode's table 3-7).
struct Lead {
  size_t following;
  uint8_t low;
  uint8_t high;
};

Lead LeadOf(uint8_t byte) {
  if (byte < 0xC2 || byte > 0xF4) return {0, 0, 0};
  if (byte < 0xE0) return {1, 0x80, 0xBF};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte < 0xF0) return {2, 0x80, 0xBF};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {3, 0x80, 0xBF};
}

// Most text is ASCII, which is recognised eight bytes at a time.
bool BeginsWithEightAscii(absl::string_view text) {
  uint64_t block = 0;
  if (text.size() < sizeof(block)) return false;
  std::memcpy(&block, text.data(), sizeof(block));
  return (block & 0x8080808080808080U) == 0;
}

}  // namespace

Utf8Step NextUtf8(absl::string_view text) {
  const auto byte = [text](size_t index) { return static_cast<uint8_t>(text[index]); };
  if (byte(0) < 0x80) return {Utf8Step::Kind::kCharacter, 1, byte(0)};
  const Lead lead = LeadOf(byte(0));
  if (lead.following == 0) return {Utf8Step::Kind::kInvalid, 1, kReplacement};
  // The lead byte of a longer character holds fewer bits of it.
  char32_t code_point = byte(0) & (0x3FU >> lead.following);
  for (size_t index = 1; index <= lead.following; ++index) {
    if (index == text.size()) return {Utf8Step::Kind::kIncomplete, index, kReplacement};
    const uint8_t low = index == 1 ? lead.low : 0x80;
    const uint8_t high = index == 1 ? lead.high : 0xBF;
    if (byte(index) < low || byte(index) > high) return {Utf8Step::Kind::kInvalid, index, kReplacement};
    code_point = code_point << 6 | (byte(index) & 0x3FU);
  }
  return {Utf8Step::Kind::kCharacter, lead.following + 1, code_point};
}

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    if (BeginsWithEightAscii(text)) {
      text.remove_prefix(8);
      continue;
    }
    const Utf8Step step = NextUtf8(text);
    if (step.kind != Utf8Step::Kind::kCharacter) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

bool IsOneCharacter(absl::string_view text) {
  if (text.empty()) return false;
  const Utf8Step step = NextUtf8(text);
  return step.kind == Utf8Step::Kind::kCharacter && step.length == text.size();
}

std::string ToUtf8(std::string_view text, size_t max_bytes) {
  std::string result;
  result.reserve(std::min(text.size(), max_bytes));
  absl::string_view rest(text.data(), text.size());
  while (!rest.empty()) {
    const Utf8Step step = NextUtf8(rest);
    const bool valid = step.kind == Utf8Step::Kind::kCharacter;
    const absl::string_view bytes = valid ? rest.substr(0, step.length) : kReplacementCharacter;
    if (bytes.size() > max_bytes - result.size()) break;
    result.append(bytes.data(), bytes.size());
    rest.remove_prefix(step.length);
  }
  return result;
}

}  // namespace predictd
