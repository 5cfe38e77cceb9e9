#ifndef PREDICTD_SERVER_GENERATION_PIECE_ENCODER_H_
#define PREDICTD_SERVER_GENERATION_PIECE_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "server/generation/byte_trie.h"
#include "server/generation/encode_limits.h"
#include "server/generation/sentencepiece_model.h"

namespace predictd {

// Cuts a normalized text into the pieces of a SentencePiece model. Immutable; any thread may call it.
class PieceEncoder {
 public:
  // Called with each piece in order; the id is the unknown one for what no piece is. Whether to go on.
  using OnPiece = absl::FunctionRef<bool(absl::string_view text, int32_t id)>;

  // `words` are the normal, user-defined and unused pieces that may be found in a text, by their ids.
  PieceEncoder(const SentencePieceModel& model, const std::vector<int32_t>& words);

  // `text` is UTF-8. Nothing comes if the limits stop it before.
  void Encode(absl::string_view text, const EncodeLimits& limits, OnPiece on_piece) const;

  // The user-defined ones of `words`.
  const ByteTrie& user_defined() const { return user_defined_; }

 private:
  using Type = SentencePieceModel::Piece::Type;

  // What the cheapest way to a position ends with.
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
    // A user-defined piece stays as it is.
    bool frozen;
  };
  // Two symbols to be joined, if they are still as long as that.
  struct Join {
    float score;
    size_t left;
    size_t size;
  };

  // The way with the best sum of scores.
  void EncodeUnigram(absl::string_view text, const EncodeLimits& limits, OnPiece on_piece) const;
  // Empty if the limits stop it.
  std::vector<Step> FindWay(absl::string_view text, const EncodeLimits& limits) const;
  // Joins the pair with the best score until none is a piece.
  void EncodeBpe(absl::string_view text, const EncodeLimits& limits, OnPiece on_piece) const;
  std::vector<Symbol> TakeApart(absl::string_view text) const;

  const SentencePieceModel::Type type_;
  const int32_t unknown_id_;
  // Of unigram models: pieces by id, and the limits of the scores of normal ones.
  std::vector<SentencePieceModel::Piece> pieces_;
  ByteTrie trie_;
  float lowest_score_ = 0;
  float highest_score_ = 0;
  // Of BPE models.
  absl::flat_hash_map<std::string, int32_t> ids_;
  size_t longest_piece_ = 0;
  ByteTrie user_defined_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_PIECE_ENCODER_H_
