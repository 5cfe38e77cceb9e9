#include "client/predictctl/terminal_text.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_format.h"
#include "client/predictctl/utf8.h"

namespace predictd {
namespace {

// The control characters U+0080 to U+009F: some terminals take U+009B for an escape and a bracket.
bool IsHighControl(absl::string_view character) {
  return character.size() == 2 && character[0] == '\xc2' && static_cast<unsigned char>(character[1]) < 0xa0;
}

bool IsLowControl(unsigned char byte) {
  return (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
}

}  // namespace

std::string TerminalText(absl::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t bytes = CharacterBytes(text);
    const absl::string_view character = text.substr(0, std::max<std::size_t>(bytes, 1));
    const auto first = static_cast<unsigned char>(character.front());
    if (bytes == 0 || IsLowControl(first)) {
      absl::StrAppendFormat(&shown, "\\x%02x", first);
    } else if (IsHighControl(character)) {
      absl::StrAppendFormat(&shown, "\\u%04x", static_cast<unsigned char>(character[1]));
    } else {
      shown.append(character.data(), character.size());
    }
    text.remove_prefix(character.size());
  }
  return shown;
}

}  // namespace predictd
