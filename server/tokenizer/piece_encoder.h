#ifndef PREDICTD_SERVER_TOKENIZER_PIECE_ENCODER_H_
#define PREDICTD_SERVER_TOKENIZER_PIECE_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/byte_trie.h"
#include "server/tokenizer/encode_limits.h"
#include "server/tokenizer/sentencepiece_model.h"

namespace predictd {

// Cuts a normalized text into the pieces of a SentencePiece model. Immutable; any thread may call it.
class PieceEncoder {
 public:
  // Called with each piece in order; the id is the unknown id for text that is no piece. Returns whether to continue.
  using OnPiece = absl::FunctionRef<bool(absl::string_view text, int32_t id)>;

  // `words` are the ids of the normal, user-defined and unused pieces that may be found in a text.
  PieceEncoder(const SentencePieceModel& model, const std::vector<int32_t>& words);

  // `text` must be UTF-8. `on_piece` is not called if the limits stop the encoding before.
  void Encode(absl::string_view text, const EncodeLimits& limits, OnPiece on_piece) const;

  // Those of `words` that are user-defined.
  const ByteTrie& user_defined() const { return user_defined_; }

 private:
  using Type = SentencePieceModel::Piece::Type;

  // The last piece of the best way to a position.
  struct Step {
    int32_t id = ByteTrie::kNone;
    float score = 0;
    size_t begin = 0;
  };
  // A part of a text that may be joined with its neighbours.
  struct Symbol {
    absl::string_view text;
    size_t before;
    size_t behind;
    // A user-defined piece is never joined or split.
    bool frozen;
  };
  // Two symbols to be joined, if they still have this size.
  struct Join {
    float score;
    size_t left;
    size_t size;
  };

  // Encodes with the segmentation that has the best sum of scores.
  void EncodeUnigram(absl::string_view text, const EncodeLimits& limits, OnPiece on_piece) const;
  // Empty if the limits stop it.
  std::vector<Step> FindWay(absl::string_view text, const EncodeLimits& limits) const;
  // The halves from which unused pieces were joined, by the text of the piece.
  using Halves = std::map<absl::string_view, std::pair<absl::string_view, absl::string_view>>;

  // Joins the pair with the best score until no pair is a piece, and splits unused pieces again.
  void EncodeBpe(absl::string_view text, const EncodeLimits& limits, OnPiece on_piece) const;
  // Passes on a piece, or the parts of an unused one.
  bool GiveOut(absl::string_view text, const Halves& halves, OnPiece on_piece) const;
  std::vector<Symbol> TakeApart(absl::string_view text) const;

  const SentencePieceModel::Type type_;
  const int32_t unknown_id_;
  // For unigram models: the pieces by id, and the lowest and highest scores of normal ones.
  std::vector<SentencePieceModel::Piece> pieces_;
  ByteTrie trie_;
  float lowest_score_ = 0;
  float highest_score_ = 0;
  // For BPE models.
  absl::flat_hash_map<std::string, int32_t> ids_;
  size_t longest_piece_ = 0;
  ByteTrie user_defined_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_PIECE_ENCODER_H_
