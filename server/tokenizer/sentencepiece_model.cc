#include "server/tokenizer/sentencepiece_model.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/text/utf8.h"
#include "server/tokenizer/proto_reader.h"

namespace predictd {
namespace {

// The numbers are those of sentencepiece_model.proto.

SentencePieceModel::Piece ReadPiece(absl::string_view message, bool& broken) {
  SentencePieceModel::Piece piece;
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.field() == 1) piece.text = reader.String();
    if (reader.field() == 2) piece.score = reader.Float();
    if (reader.field() == 3) piece.type = SentencePieceModel::Piece::Type{reader.Varint()};
  }
  broken = broken || reader.broken();
  return piece;
}

void ReadTrainer(absl::string_view message, SentencePieceModel& model, bool& broken) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.field() == 3) model.type = SentencePieceModel::Type{reader.Varint()};
    if (reader.field() == 24) model.normalizer.space_is_suffix = reader.Bool();
    if (reader.field() == 35) model.byte_fallback = reader.Bool();
    if (reader.field() == 41) model.bos_id = reader.Int32();
    if (reader.field() == 44) model.unknown_surface = reader.String();
  }
  broken = broken || reader.broken();
}

void ReadNormalizer(absl::string_view message, SentencePieceModel::Normalizer& normalizer, bool& broken) {
  ProtoReader reader(message);
  while (reader.Next()) {
    if (reader.field() == 2) normalizer.charsmap = reader.String();
    if (reader.field() == 3) normalizer.add_dummy_prefix = reader.Bool();
    if (reader.field() == 4) normalizer.remove_extra_whitespaces = reader.Bool();
    if (reader.field() == 5) normalizer.escape_whitespaces = reader.Bool();
  }
  broken = broken || reader.broken();
}

// Whether the text looks like <0x0A>.
bool IsByteText(const std::string& text) {
  return text.size() == 6 && absl::StartsWith(text, "<0x") && text[5] == '>' && absl::ascii_isxdigit(text[3]) &&
         absl::ascii_isxdigit(text[4]);
}

absl::Status CheckPiece(const SentencePieceModel::Piece& piece) {
  using Type = SentencePieceModel::Piece::Type;
  if (piece.text.empty() || !IsUtf8(piece.text)) return absl::InvalidArgumentError("expected a text");
  if (!std::isfinite(piece.score)) return absl::InvalidArgumentError("expected a score");
  if (piece.type < Type::kNormal || piece.type > Type::kByte) return absl::InvalidArgumentError("the type is unknown");
  if (piece.type == Type::kByte && !IsByteText(piece.text)) return absl::InvalidArgumentError("expected a byte");
  return absl::OkStatus();
}

absl::Status Check(SentencePieceModel& model) {
  using Piece = SentencePieceModel::Piece;
  if (model.type != SentencePieceModel::Type::kUnigram && model.type != SentencePieceModel::Type::kBpe) {
    return absl::InvalidArgumentError("expected a unigram or BPE model");
  }
  if (!model.normalizer.escape_whitespaces) return absl::InvalidArgumentError("escape_whitespaces must be true");
  for (size_t index = 0; index < model.pieces.size(); ++index) {
    const absl::Status status = CheckPiece(model.pieces[index]);
    if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat("piece ", index, ": ", status.message()));
  }
  const auto unknown = std::find_if(model.pieces.begin(), model.pieces.end(),
                                    [](const Piece& piece) { return piece.type == Piece::Type::kUnknown; });
  if (unknown == model.pieces.end()) return absl::InvalidArgumentError("there is no unknown piece");
  model.unknown_id = static_cast<int32_t>(unknown - model.pieces.begin());
  if (model.bos_id >= static_cast<int64_t>(model.pieces.size())) return absl::InvalidArgumentError("bos_id: no piece");
  const auto bytes = std::count_if(model.pieces.begin(), model.pieces.end(),
                                   [](const Piece& piece) { return piece.type == Piece::Type::kByte; });
  if (bytes != (model.byte_fallback ? 256 : 0)) {
    return absl::InvalidArgumentError(absl::StrCat("there are ", bytes, " byte pieces"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SentencePieceModel> SentencePieceModel::Parse(absl::string_view bytes) {
  SentencePieceModel model;
  Normalizer denormalizer;
  bool broken = false;
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) model.pieces.push_back(ReadPiece(reader.Bytes(), broken));
    if (reader.field() == 2) ReadTrainer(reader.Bytes(), model, broken);
    if (reader.field() == 3) ReadNormalizer(reader.Bytes(), model.normalizer, broken);
    if (reader.field() == 5) ReadNormalizer(reader.Bytes(), denormalizer, broken);
  }
  if (broken || reader.broken()) return absl::InvalidArgumentError("not a model of SentencePiece");
  if (!denormalizer.charsmap.empty()) return absl::InvalidArgumentError("a denormalizer is not supported");
  if (absl::Status status = Check(model); !status.ok()) return status;
  return model;
}

}  // namespace predictd
