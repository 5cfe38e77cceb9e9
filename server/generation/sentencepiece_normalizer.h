#ifndef PREDICTD_SERVER_GENERATION_SENTENCEPIECE_NORMALIZER_H_
#define PREDICTD_SERVER_GENERATION_SENTENCEPIECE_NORMALIZER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/generation/byte_trie.h"
#include "server/generation/sentencepiece_model.h"

namespace predictd {

// U+2581, which stands for a space in pieces.
inline constexpr absl::string_view kSpacePiece = "\xE2\x96\x81";

// Changes a text before SentencePiece cuts it into pieces: characters by the model's table, spaces into U+2581.
// Immutable; any thread may call it.
class SentencePieceNormalizer {
 public:
  // What a text is part of.
  struct Place {
    bool begins = true;
    bool ends = true;
  };

  // `kept` are texts that stay as they are. INVALID_ARGUMENT if the table is broken.
  static absl::StatusOr<SentencePieceNormalizer> Create(const SentencePieceModel::Normalizer& spec, ByteTrie kept);

  // `text` is UTF-8, and so is the result.
  std::string Normalize(absl::string_view text, Place place) const;

 private:
  // What a text begins with, and what that becomes.
  struct Step {
    size_t length;
    absl::string_view text;
  };

  SentencePieceNormalizer(const SentencePieceModel::Normalizer& spec, ByteTrie kept)
      : spec_(spec), kept_(std::move(kept)) {}

  absl::Status ReadTable();
  Step NextStep(absl::string_view text) const;
  // Looks the longest rule up in the table, a double array of Darts. Length 0: there is none.
  Step FindRule(absl::string_view text) const;

  SentencePieceModel::Normalizer spec_;
  ByteTrie kept_;
  std::vector<uint32_t> units_;
  // Texts that end with a zero byte. Where they begin is what units_ says.
  std::string replacements_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_SENTENCEPIECE_NORMALIZER_H_
