#ifndef PREDICTD_SERVER_GENERATION_TOKENIZER_JSON_H_
#define PREDICTD_SERVER_GENERATION_TOKENIZER_JSON_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/generation/added_tokens.h"
#include "server/generation/bpe.h"
#include "server/generation/json_object.h"
#include "server/generation/pre_tokenizer.h"
#include "server/generation/text_normalizer.h"
#include "server/generation/token_decoder.h"
#include "server/generation/token_table.h"

namespace predictd {

// What a tokenizer.json of Hugging Face's library holds, if its model is BPE.
struct TokenizerJson {
  // INVALID_ARGUMENT names the key of what is wrong or not supported. Nothing is ignored.
  static absl::StatusOr<TokenizerJson> Parse(absl::string_view text);

  TextNormalizer normalizer;
  PreTokenizer pre_tokenizer;
  // To be looked for before and after the text is normalized.
  AddedTokens added;
  AddedTokens added_normalized;
  Bpe bpe{{}};
  TokenTable table;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TOKENIZER_JSON_H_
