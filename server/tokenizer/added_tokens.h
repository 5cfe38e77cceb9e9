#ifndef PREDICTD_SERVER_TOKENIZER_ADDED_TOKENS_H_
#define PREDICTD_SERVER_TOKENIZER_ADDED_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/byte_trie.h"
#include "server/tokenizer/marked_text.h"

namespace predictd {

// Finds tokens that stand literally in a text, such as <|im_start|>. Immutable after it has been filled; any thread may
// call it.
//
// The first place in the text counts, and there the longest token. A special token is taken only if all of its bytes
// are trusted. If none of its bytes is trusted, it is passed over as a whole, as Hugging Face's library does when it is
// told to encode special tokens; if it crosses the border of trusted text, it is as if it did not exist, so that
// untrusted text beside trusted text cannot swallow it.
class AddedTokens {
 public:
  struct Token {
    int32_t id = 0;
    bool special = false;
    // Found only where no other character of a word is beside it.
    bool single_word = false;
    // Whether the token includes the white space before it or after it.
    bool strip_left = false;
    bool strip_right = false;
  };

  // `text` must be UTF-8 and not empty. If several tokens have the same text, the last one counts.
  void Add(absl::string_view text, const Token& token);

  // Calls one of the two functions for each part of `text`, in order. `text` must be UTF-8. No part is empty.
  void Split(MarkedView text, absl::FunctionRef<void(MarkedView)> on_text,
             absl::FunctionRef<void(int32_t id)> on_token) const;

 private:
  struct Found {
    size_t end;
    const Token* token;
  };

  // The longest token at `begin` that counts. If there is none, no token and the position at which to continue.
  Found Find(MarkedView text, size_t begin) const;

  std::vector<Token> tokens_;
  // Maps a token's text to its index in tokens_.
  ByteTrie texts_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_ADDED_TOKENS_H_
