#ifndef PREDICTD_SERVER_TOKENIZER_TOKEN_TABLE_H_
#define PREDICTD_SERVER_TOKENIZER_TOKEN_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace predictd {

// The tokens of a model by id, and what else is needed to turn them into text.
struct TokenTable {
  struct Token {
    // What the token stands for in a text; empty if no token has this id.
    std::string bytes;
    bool special = false;
    // Whether its spaces belong to the text even at its beginning.
    bool keeps_spaces = false;
  };

  // What happens to spaces at the beginning of a whole text, which come from the tokenizer itself.
  enum class LeadingSpaces {
    kKept,
    // One space is left out.
    kOneDropped,
    // All spaces of the first token are left out, wherever they are in it.
    kFirstTokensDropped,
    // One space of each token is left out, until there is any text.
    kOneOfEachDropped,
  };

  // The token with this id; makes room for it.
  Token& At(int32_t id) {
    if (tokens.size() <= static_cast<size_t>(id)) tokens.resize(static_cast<size_t>(id) + 1);
    return tokens[static_cast<size_t>(id)];
  }

  std::vector<Token> tokens;
  // The ids of special tokens, by how they are written.
  absl::flat_hash_map<std::string, int32_t> special;
  std::vector<int32_t> prefix;
  LeadingSpaces leading_spaces = LeadingSpaces::kKept;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_TOKEN_TABLE_H_
