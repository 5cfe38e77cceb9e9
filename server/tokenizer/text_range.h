#ifndef PREDICTD_SERVER_TOKENIZER_TEXT_RANGE_H_
#define PREDICTD_SERVER_TOKENIZER_TEXT_RANGE_H_

#include <cstddef>

namespace predictd {

// The bytes [begin, end) of a text.
struct TextRange {
  size_t begin = 0;
  size_t end = 0;

  friend bool operator==(const TextRange&, const TextRange&) = default;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_TEXT_RANGE_H_
