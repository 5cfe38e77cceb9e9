#ifndef PREDICTD_SERVER_GENERATION_TOKEN_DECODER_H_
#define PREDICTD_SERVER_GENERATION_TOKEN_DECODER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/generation/json_object.h"
#include "server/generation/pattern.h"
#include "server/generation/token_table.h"

namespace predictd {

// Knows what the tokens of a vocabulary stand for, as the `decoder` of a tokenizer.json says. Immutable.
class TokenDecoder {
 public:
  // Knows ByteLevel, and Sequence with Replace, ByteFallback, Fuse and, behind that, Strip of a leading space.
  static absl::StatusOr<TokenDecoder> Parse(const nlohmann::json& json, const std::string& path);

  // The bytes of a token by its name in the vocabulary, which is UTF-8.
  std::string Bytes(absl::string_view name) const;

  TokenTable::LeadingSpaces leading_spaces() const { return leading_spaces_; }

 private:
  struct Replace {
    Pattern pattern;
    std::string text;
  };

  absl::Status Add(const nlohmann::json& json, const std::string& path);

  bool byte_level_ = false;
  bool byte_fallback_ = false;
  bool fused_ = false;
  std::vector<Replace> replaces_;
  TokenTable::LeadingSpaces leading_spaces_ = TokenTable::LeadingSpaces::kKept;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TOKEN_DECODER_H_
