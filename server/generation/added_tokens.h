#ifndef PREDICTD_SERVER_GENERATION_ADDED_TOKENS_H_
#define PREDICTD_SERVER_GENERATION_ADDED_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "server/generation/byte_trie.h"
#include "server/generation/marked_text.h"

namespace predictd {

// Finds tokens that stand in a text as they are, like <|im_start|>. Immutable after it has been filled; any thread may
// call it.
//
// The first place counts, and there the longest token. A special one is taken only if all of its bytes are trusted. One
// without any is passed over whole, as the library of Hugging Face does if it is told to encode special tokens; one on
// the border is as if it did not exist, so that untrusted text beside it cannot swallow what is trusted.
class AddedTokens {
 public:
  struct Token {
    int32_t id = 0;
    bool special = false;
    // Stands only where no other character of a word is beside it.
    bool single_word = false;
    // Takes the white space before or behind it with it.
    bool strip_left = false;
    bool strip_right = false;
  };

  // `text` is UTF-8 and not empty. The last of several with the same text counts.
  void Add(absl::string_view text, const Token& token);

  // Calls one of the two for each part of `text`, which is UTF-8, in order. No part is empty.
  void Split(MarkedView text, absl::FunctionRef<void(MarkedView)> on_text,
             absl::FunctionRef<void(int32_t id)> on_token) const;

 private:
  struct Found {
    size_t end;
    const Token* token;
  };

  // The longest token at `begin` that counts. If none does: where to go on, and no token.
  Found Find(MarkedView text, size_t begin) const;

  std::vector<Token> tokens_;
  // Indices of tokens.
  ByteTrie texts_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_ADDED_TOKENS_H_
