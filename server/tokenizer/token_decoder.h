#ifndef PREDICTD_SERVER_TOKENIZER_TOKEN_DECODER_H_
#define PREDICTD_SERVER_TOKENIZER_TOKEN_DECODER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/json_object.h"
#include "server/tokenizer/pattern.h"
#include "server/tokenizer/token_table.h"

namespace predictd {

// Knows what the tokens of a vocabulary stand for, according to the `decoder` of a tokenizer.json. Immutable.
class TokenDecoder {
 public:
  // Knows ByteLevel, Metaspace, and Sequence with Replace, ByteFallback, Fuse and, after that, Strip of a leading
  // space.
  static absl::StatusOr<TokenDecoder> Parse(const nlohmann::json& json, const std::string& path);

  // The bytes of a token, given its name in the vocabulary, which must be UTF-8.
  std::string Bytes(absl::string_view name) const;

  // Whether the spaces of such a token belong to the text even at its beginning.
  bool KeepsSpaces(absl::string_view name) const;

  TokenTable::LeadingSpaces leading_spaces() const { return leading_spaces_; }

 private:
  struct Replace {
    Pattern pattern;
    std::string text;
  };

  absl::Status Add(const nlohmann::json& json, const std::string& path);
  absl::Status AddMetaspace(JsonObject& object);

  bool byte_level_ = false;
  bool byte_fallback_ = false;
  bool fused_ = false;
  std::vector<Replace> replaces_;
  // The character that Metaspace takes for a space, if there is a Metaspace.
  std::string space_;
  TokenTable::LeadingSpaces leading_spaces_ = TokenTable::LeadingSpaces::kKept;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_TOKEN_DECODER_H_
