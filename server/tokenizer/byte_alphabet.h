#ifndef PREDICTD_SERVER_TOKENIZER_BYTE_ALPHABET_H_
#define PREDICTD_SERVER_TOKENIZER_BYTE_ALPHABET_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace predictd {

// Byte-level vocabularies write every byte as a visible character: a space as U+0120, for example. Returns the bytes of
// such a text, or nullopt if one of its characters stands for no byte. `text` must be UTF-8.
std::optional<std::string> BytesFromAlphabet(absl::string_view text);

// The text that stands for any bytes in this alphabet.
std::string AlphabetFromBytes(absl::string_view bytes);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_BYTE_ALPHABET_H_
