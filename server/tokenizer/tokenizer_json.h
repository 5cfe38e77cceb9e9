#ifndef PREDICTD_SERVER_TOKENIZER_TOKENIZER_JSON_H_
#define PREDICTD_SERVER_TOKENIZER_TOKENIZER_JSON_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/tokenizer/added_tokens.h"
#include "server/tokenizer/bpe.h"
#include "server/tokenizer/json_object.h"
#include "server/tokenizer/pre_tokenizer.h"
#include "server/tokenizer/text_normalizer.h"
#include "server/tokenizer/token_decoder.h"
#include "server/tokenizer/token_table.h"

namespace predictd {

// The contents of a tokenizer.json of Hugging Face's library whose model is BPE.
struct TokenizerJson {
  // INVALID_ARGUMENT names the key of what is wrong or not supported. No key is ignored.
  static absl::StatusOr<TokenizerJson> Parse(absl::string_view text);

  TextNormalizer normalizer;
  PreTokenizer pre_tokenizer;
  // These are looked for before and after the text is normalized, respectively.
  AddedTokens added;
  AddedTokens added_normalized;
  Bpe bpe{{}};
  TokenTable table;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_TOKENIZER_JSON_H_
