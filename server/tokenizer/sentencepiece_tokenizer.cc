#include "server/tokenizer/sentencepiece_tokenizer.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"
#include "server/files/regular_file.h"
#include "server/tokenizer/added_tokens.h"
#include "server/tokenizer/piece_encoder.h"
#include "server/tokenizer/sentencepiece_model.h"
#include "server/tokenizer/sentencepiece_normalizer.h"

namespace predictd {
namespace {

using Piece = SentencePieceModel::Piece;

// User-defined pieces are the library's way to find certain texts whole: runs of spaces and digits, but also the
// markers of a chat. A piece with letters could be such a marker, so it is found only in trusted text.
bool MayBeMark(absl::string_view text) {
  for (size_t next = 0; next < text.size();) {
    UChar32 character = 0;
    U8_NEXT_UNSAFE(text.data(), next, character);
    if (u_isalpha(character)) return true;
  }
  return false;
}

bool IsSpecial(const Piece& piece) {
  return piece.type == Piece::Type::kControl || (piece.type == Piece::Type::kUserDefined && MayBeMark(piece.text));
}

// The ids of the pieces that are found in any text.
std::vector<int32_t> FindWords(const std::vector<Piece>& pieces) {
  std::vector<int32_t> words;
  for (size_t id = 0; id < pieces.size(); ++id) {
    const Piece::Type type = pieces[id].type;
    const bool word = type == Piece::Type::kNormal || type == Piece::Type::kUserDefined || type == Piece::Type::kUnused;
    if (word && !IsSpecial(pieces[id])) words.push_back(static_cast<int32_t>(id));
  }
  return words;
}

TokenTable::Token TokenOf(const SentencePieceModel& model, const Piece& piece) {
  switch (piece.type) {
    case Piece::Type::kUnknown:
      return {model.unknown_surface, false, true};
    case Piece::Type::kByte:
      // The piece looks like <0x0A>.
      return {absl::HexStringToBytes(absl::string_view(piece.text).substr(3, 2)), false, true};
    case Piece::Type::kControl:
      return {piece.text, true, true};
    default:
      return {absl::StrReplaceAll(piece.text, {{kSpacePiece, " "}}), IsSpecial(piece), false};
  }
}

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(TokenTable table, SentencePieceModel model, AddedTokens special, PieceEncoder encoder,
                         SentencePieceNormalizer normalizer)
      : Tokenizer(std::move(table)),
        model_(std::move(model)),
        special_(std::move(special)),
        encoder_(std::move(encoder)),
        normalizer_(std::move(normalizer)) {
    bytes_.fill(model_.unknown_id);
    for (size_t id = 0; id < model_.pieces.size(); ++id) {
      if (model_.pieces[id].type != Piece::Type::kByte) continue;
      bytes_[static_cast<uint8_t>(TokenBytes(static_cast<int32_t>(id))[0])] = static_cast<int32_t>(id);
    }
  }

 protected:
  void EncodeText(MarkedView text, const EncodeLimits& limits, std::vector<int32_t>& ids) const override {
    // A control token begins and ends texts; a user-defined one is in the middle of one.
    SentencePieceNormalizer::Place place;
    absl::string_view waiting;
    const auto encode_waiting = [&](bool ends) {
      place.ends = ends;
      const absl::string_view segment = std::exchange(waiting, {});
      if (!limits.GivesUp(ids.size())) EncodeSegment(normalizer_.Normalize(segment, place), limits, ids);
    };
    special_.Split(
        text, [&](MarkedView part) { waiting = part.text(); },
        [&](int32_t id) {
          const bool control = model_.pieces[static_cast<size_t>(id)].type == Piece::Type::kControl;
          if (!waiting.empty()) encode_waiting(control);
          ids.push_back(id);
          place.begins = control;
        });
    if (!waiting.empty()) encode_waiting(true);
  }

 private:
  void EncodeSegment(absl::string_view normalized, const EncodeLimits& limits, std::vector<int32_t>& ids) const {
    bool after_unknown = false;
    encoder_.Encode(normalized, limits, [&](absl::string_view text, int32_t id) {
      const bool unknown = id == model_.unknown_id;
      if (unknown && model_.byte_fallback) {
        for (const char byte : text) ids.push_back(bytes_[static_cast<uint8_t>(byte)]);
      } else if (!unknown || !after_unknown) {
        ids.push_back(id);
      }
      after_unknown = unknown;
      return !limits.GivesUp(ids.size());
    });
  }

  const SentencePieceModel model_;
  const AddedTokens special_;
  const PieceEncoder encoder_;
  const SentencePieceNormalizer normalizer_;
  // The piece of each byte.
  std::array<int32_t, 256> bytes_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadSentencePieceTokenizer(const std::filesystem::path& file) {
  const absl::StatusOr<std::string> content = ReadRegularFile(file, Tokenizer::kMaxFileBytes);
  if (!content.ok()) return content.status();
  return ParseSentencePieceTokenizer(*content);
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> ParseSentencePieceTokenizer(absl::string_view bytes) {
  absl::StatusOr<SentencePieceModel> model = SentencePieceModel::Parse(bytes);
  if (!model.ok()) return model.status();
  TokenTable table;
  AddedTokens special;
  for (size_t index = 0; index < model->pieces.size(); ++index) {
    const Piece& piece = model->pieces[index];
    const auto id = static_cast<int32_t>(index);
    table.At(id) = TokenOf(*model, piece);
    if (!table.At(id).special) continue;
    special.Add(piece.text, {id, true});
    table.special[piece.text] = id;
  }
  if (model->bos_id >= 0) table.prefix = {model->bos_id};
  if (model->normalizer.remove_extra_whitespaces) {
    table.leading_spaces = TokenTable::LeadingSpaces::kOneOfEachDropped;
  } else if (model->normalizer.add_dummy_prefix) {
    table.leading_spaces = TokenTable::LeadingSpaces::kOneDropped;
  }
  PieceEncoder encoder(*model, FindWords(model->pieces));
  absl::StatusOr<SentencePieceNormalizer> normalizer =
      SentencePieceNormalizer::Create(model->normalizer, encoder.user_defined());
  if (!normalizer.ok()) return normalizer.status();
  return std::make_shared<const SentencePieceTokenizer>(std::move(table), *std::move(model), std::move(special),
                                                        std::move(encoder), *std::move(normalizer));
}

}  // namespace predictd
