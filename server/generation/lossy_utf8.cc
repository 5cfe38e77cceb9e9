#include "server/generation/lossy_utf8.h"

#include <cstdint>

namespace predictd {
namespace {

// What may follow a lead byte: how many bytes, and the limits of the first of them (Unicode's table 3-7).
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

}  // namespace

Utf8Step NextUtf8(absl::string_view text) {
  const auto byte = [text](size_t index) { return static_cast<uint8_t>(text[index]); };
  if (byte(0) < 0x80) return {Utf8Step::Kind::kCharacter, 1};
  const Lead lead = LeadOf(byte(0));
  if (lead.following == 0) return {Utf8Step::Kind::kInvalid, 1};
  for (size_t index = 1; index <= lead.following; ++index) {
    if (index == text.size()) return {Utf8Step::Kind::kIncomplete, index};
    const uint8_t low = index == 1 ? lead.low : 0x80;
    const uint8_t high = index == 1 ? lead.high : 0xBF;
    if (byte(index) < low || byte(index) > high) return {Utf8Step::Kind::kInvalid, index};
  }
  return {Utf8Step::Kind::kCharacter, lead.following + 1};
}

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    if (step.kind != Utf8Step::Kind::kCharacter) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

std::string ToUtf8(absl::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = NextUtf8(text);
    const bool valid = step.kind == Utf8Step::Kind::kCharacter;
    result.append((valid ? text : kReplacementCharacter).data(), valid ? step.length : kReplacementCharacter.size());
    text.remove_prefix(step.length);
  }
  return result;
}

}  // namespace predictd
