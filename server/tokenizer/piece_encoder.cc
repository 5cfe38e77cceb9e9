#include "server/tokenizer/piece_encoder.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <utility>

#include "server/text/utf8.h"

namespace predictd {
namespace {

constexpr size_t kNowhere = std::numeric_limits<size_t>::max();
// By how much an unknown character scores less than the worst piece.
constexpr float kUnknownPenalty = 10.0F;
// Subtracted from the score of a user-defined piece, so that few long ones are better than many short ones.
constexpr double kUserDefinedCost = 0.1;
// About a millisecond of work.
constexpr size_t kStepsBetweenLooks = 4096;

}  // namespace

PieceEncoder::PieceEncoder(const SentencePieceModel& model, const std::vector<int32_t>& words)
    : type_(model.type),
      unknown_id_(model.unknown_id),
      pieces_(model.pieces),
      lowest_score_(std::numeric_limits<float>::max()),
      highest_score_(std::numeric_limits<float>::min()) {
  for (const SentencePieceModel::Piece& piece : pieces_) {
    if (piece.type != Type::kNormal) continue;
    lowest_score_ = std::min(lowest_score_, piece.score);
    highest_score_ = std::max(highest_score_, piece.score);
  }
  for (const int32_t id : words) {
    const SentencePieceModel::Piece& piece = pieces_[static_cast<size_t>(id)];
    if (piece.type == Type::kUserDefined) user_defined_.Add(piece.text, id);
    type_ == SentencePieceModel::Type::kUnigram ? trie_.Add(piece.text, id) : void(ids_[piece.text] = id);
    longest_piece_ = std::max(longest_piece_, piece.text.size());
  }
}

void PieceEncoder::Encode(absl::string_view text, const EncodeLimits& limits, OnPiece on_piece) const {
  type_ == SentencePieceModel::Type::kUnigram ? EncodeUnigram(text, limits, on_piece)
                                              : EncodeBpe(text, limits, on_piece);
}

void PieceEncoder::EncodeUnigram(absl::string_view text, const EncodeLimits& limits, OnPiece on_piece) const {
  const std::vector<Step> way = FindWay(text, limits);
  if (way.empty()) return;
  std::vector<size_t> ends;
  for (size_t end = text.size(); end > 0; end = way[end].begin) ends.push_back(end);
  for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
    const Step& step = way[*end];
    if (!on_piece(text.substr(step.begin, *end - step.begin), step.id)) return;
  }
}

// Sums are rounded exactly as the library rounds them; otherwise near ties would come out differently.
std::vector<PieceEncoder::Step> PieceEncoder::FindWay(absl::string_view text, const EncodeLimits& limits) const {
  std::vector<Step> way(text.size() + 1);
  size_t steps = 0;
  for (size_t begin = 0; begin < text.size();) {
    if (++steps % kStepsBetweenLooks == 0 && limits.stopped()) return {};
    const size_t character = NextUtf8(text.substr(begin)).length;
    const float score_here = way[begin].score;
    const auto offer = [&](size_t end, int32_t id, float score) {
      Step& step = way[end];
      if (step.id == ByteTrie::kNone || score > step.score) step = {id, score, begin};
    };
    bool has_single = false;
    trie_.ForEachPrefix(text.substr(begin), [&](size_t length, int32_t id) {
      const SentencePieceModel::Piece& piece = pieces_[static_cast<size_t>(id)];
      if (piece.type == Type::kUnused) return;
      const float score = piece.type == Type::kUserDefined
                              ? static_cast<float>(static_cast<float>(length) * highest_score_ - kUserDefinedCost)
                              : piece.score;
      offer(begin + length, id, score + score_here);
      has_single = has_single || length == character;
    });
    if (!has_single) offer(begin + character, unknown_id_, lowest_score_ - kUnknownPenalty + score_here);
    begin += character;
  }
  return way;
}

void PieceEncoder::EncodeBpe(absl::string_view text, const EncodeLimits& limits, OnPiece on_piece) const {
  std::vector<Symbol> symbols = TakeApart(text);
  const auto comes_later = [](const Join& a, const Join& b) {
    return a.score != b.score ? a.score < b.score : a.left > b.left;
  };
  Halves halves;
  std::priority_queue<Join, std::vector<Join>, decltype(comes_later)> joins(comes_later);
  const auto offer = [&](size_t left, size_t right) {
    if (left == kNowhere || right == kNowhere || symbols[left].frozen || symbols[right].frozen) return;
    const size_t size = symbols[left].text.size() + symbols[right].text.size();
    if (size > longest_piece_) return;
    const absl::string_view joined(symbols[left].text.data(), size);
    const auto found = ids_.find(joined);
    if (found == ids_.end()) return;
    const SentencePieceModel::Piece& piece = pieces_[static_cast<size_t>(found->second)];
    joins.push({piece.score, left, size});
    if (piece.type == Type::kUnused) halves[joined] = {symbols[left].text, symbols[right].text};
  };
  for (size_t index = 1; index < symbols.size(); ++index) offer(index - 1, index);
  for (size_t steps = 1; !joins.empty(); ++steps) {
    if (steps % kStepsBetweenLooks == 0 && limits.stopped()) return;
    const Join join = joins.top();
    joins.pop();
    Symbol& left = symbols[join.left];
    if (left.text.empty() || left.behind == kNowhere) continue;
    Symbol& right = symbols[left.behind];
    if (left.text.size() + right.text.size() != join.size) continue;
    left.text = absl::string_view(left.text.data(), join.size);
    right.text = {};
    left.behind = right.behind;
    if (left.behind != kNowhere) symbols[left.behind].before = join.left;
    offer(left.before, join.left);
    offer(join.left, left.behind);
  }
  for (size_t index = 0; index < symbols.size(); index = symbols[index].behind) {
    if (!GiveOut(symbols[index].text, halves, on_piece)) return;
  }
}

// The recursion is at most as deep as a piece has characters.
bool PieceEncoder::GiveOut(absl::string_view text, const Halves& halves, OnPiece on_piece) const {
  const auto found = ids_.find(text);
  if (found != ids_.end() && pieces_[static_cast<size_t>(found->second)].type == Type::kUnused) {
    const auto parts = halves.find(text);
    if (parts != halves.end()) {
      return GiveOut(parts->second.first, halves, on_piece) && GiveOut(parts->second.second, halves, on_piece);
    }
  }
  return on_piece(text, found == ids_.end() ? unknown_id_ : found->second);
}

std::vector<PieceEncoder::Symbol> PieceEncoder::TakeApart(absl::string_view text) const {
  std::vector<Symbol> symbols;
  for (size_t begin = 0; begin < text.size(); begin += symbols.back().text.size()) {
    const absl::string_view rest = text.substr(begin);
    size_t length = 0;
    user_defined_.ForEachPrefix(rest, [&length](size_t prefix, int32_t /*id*/) { length = prefix; });
    const bool frozen = length > 0;
    if (!frozen) length = NextUtf8(rest).length;
    const size_t index = symbols.size();
    symbols.push_back({rest.substr(0, length), index == 0 ? kNowhere : index - 1, index + 1, frozen});
  }
  if (!symbols.empty()) symbols.back().behind = kNowhere;
  return symbols;
}

}  // namespace predictd
