#ifndef PREDICTD_SERVER_TOKENIZER_SENTENCEPIECE_NORMALIZER_H_
#define PREDICTD_SERVER_TOKENIZER_SENTENCEPIECE_NORMALIZER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/byte_trie.h"
#include "server/tokenizer/sentencepiece_model.h"

namespace predictd {

// U+2581, which stands for a space in pieces.
inline constexpr absl::string_view kSpacePiece = "\xE2\x96\x81";

// Normalizes a text before SentencePiece cuts it into pieces: replaces characters according to the model's table, and
// spaces by U+2581. Immutable; any thread may call it.
class SentencePieceNormalizer {
 public:
  // Whether a part stands at the beginning and at the end of the text.
  struct Place {
    bool begins = true;
    bool ends = true;
  };

  // The texts in `kept` are not changed. INVALID_ARGUMENT if the table is broken.
  static absl::StatusOr<SentencePieceNormalizer> Create(const SentencePieceModel::Normalizer& spec, ByteTrie kept);

  // `text` must be UTF-8, and so is the result.
  std::string Normalize(absl::string_view text, Place place) const;

 private:
  // How many bytes at the beginning of a text are replaced, and by what.
  struct Step {
    size_t length;
    absl::string_view text;
  };

  SentencePieceNormalizer(const SentencePieceModel::Normalizer& spec, ByteTrie kept)
      : spec_(spec), kept_(std::move(kept)) {}

  absl::Status ReadTable();
  Step NextStep(absl::string_view text) const;
  // Finds the longest matching rule in the table, which is a double array of Darts. The length is 0 if there is none.
  Step FindRule(absl::string_view text) const;

  SentencePieceModel::Normalizer spec_;
  ByteTrie kept_;
  std::vector<uint32_t> units_;
  // Texts that end with a zero byte; units_ says where they begin.
  std::string replacements_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_SENTENCEPIECE_NORMALIZER_H_
