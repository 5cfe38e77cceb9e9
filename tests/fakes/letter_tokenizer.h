#ifndef PREDICTD_TESTS_FAKES_LETTER_TOKENIZER_H_
#define PREDICTD_TESTS_FAKES_LETTER_TOKENIZER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/tokenizer/tokenizer.h"

namespace predictd {

// Token i is the letter 'a' + i; other bytes have no token. Immutable.
class LetterTokenizer final : public Tokenizer {
 public:
  // `on_encode` is called whenever a text is encoded.
  explicit LetterTokenizer(
      int letters, std::function<void()> on_encode = [] {})
      : Tokenizer(Table(letters)), letters_(letters), on_encode_(std::move(on_encode)) {}

 private:
  static TokenTable Table(int letters) {
    TokenTable table;
    for (int i = 0; i < letters; ++i) table.At(i).bytes = std::string(1, static_cast<char>('a' + i));
    return table;
  }

  void EncodeText(MarkedView text, const EncodeLimits& /*limits*/, std::vector<int32_t>& ids) const override {
    on_encode_();
    for (char c : text.text()) {
      if (c >= 'a' && c < 'a' + letters_) ids.push_back(c - 'a');
    }
  }

  const int letters_;
  const std::function<void()> on_encode_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_LETTER_TOKENIZER_H_
