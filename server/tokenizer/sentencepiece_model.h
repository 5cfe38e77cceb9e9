#ifndef PREDICTD_SERVER_TOKENIZER_SENTENCEPIECE_MODEL_H_
#define PREDICTD_SERVER_TOKENIZER_SENTENCEPIECE_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// The contents of a tokenizer.model: the message sentencepiece.ModelProto, as far as encoding and decoding need it.
struct SentencePieceModel {
  enum class Type : uint64_t { kUnigram = 1, kBpe = 2 };
  struct Piece {
    enum class Type : uint64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

    std::string text;
    float score = 0;
    Type type = Type::kNormal;
  };
  struct Normalizer {
    std::string charsmap;
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    bool escape_whitespaces = true;
    // From the trainer's message: the dummy prefix is a suffix.
    bool space_is_suffix = false;
  };

  // INVALID_ARGUMENT says what is wrong or not supported.
  static absl::StatusOr<SentencePieceModel> Parse(absl::string_view bytes);

  std::vector<Piece> pieces;
  Normalizer normalizer;
  Type type = Type::kUnigram;
  bool byte_fallback = false;
  int32_t unknown_id = 0;
  // What the unknown token becomes in a text.
  std::string unknown_surface = " \xE2\x81\x87 ";
  // Negative if the model has none.
  int32_t bos_id = 1;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_SENTENCEPIECE_MODEL_H_
