#ifndef PREDICTD_SERVER_GENERATION_BYTE_ALPHABET_H_
#define PREDICTD_SERVER_GENERATION_BYTE_ALPHABET_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace predictd {

// Byte-level vocabularies write every byte as a character that one can see: a space as U+0120, for example. The bytes
// of such a text, or nothing if one of its characters stands for none. `text` is UTF-8.
std::optional<std::string> BytesFromAlphabet(absl::string_view text);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_BYTE_ALPHABET_H_
