#include "server/generation/text_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/generation/lossy_utf8.h"

namespace predictd {

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stop_strings)
    : tokenizer_(tokenizer), bytes_(tokenizer), matcher_(std::move(stop_strings)) {}

TextStream::Piece TextStream::Add(int32_t token) {
  Piece piece;
  if (stopped_ || tokenizer_.IsSpecial(token)) return piece;
  const std::string bytes = absl::StrCat(incomplete_, bytes_.Next(token));
  absl::string_view rest = bytes;
  incomplete_.clear();
  while (!rest.empty() && !stopped_) {
    const Utf8Step step = NextUtf8(rest);
    if (step.kind == Utf8Step::Kind::kIncomplete) {
      incomplete_ = std::string(rest);
      break;
    }
    AddText(step.kind == Utf8Step::Kind::kCharacter ? rest.substr(0, step.length) : kReplacementCharacter, piece);
    rest.remove_prefix(step.length);
  }
  if (!stopped_) Release(piece);
  return piece;
}

TextStream::Piece TextStream::Finish() {
  Piece piece;
  if (stopped_) return piece;
  if (!incomplete_.empty()) AddText(kReplacementCharacter, piece);
  if (!stopped_) piece.text = std::exchange(held_, {});
  stopped_ = true;
  return piece;
}

void TextStream::AddText(absl::string_view text, Piece& piece) {
  for (const char byte : text) {
    held_.push_back(byte);
    const std::optional<size_t> match = matcher_.Add(byte);
    if (!match.has_value()) continue;
    piece.stopped = stopped_ = true;
    piece.stop_string = matcher_.string(*match);
    piece.text = held_.substr(0, held_.size() - piece.stop_string.size());
    held_.clear();
    return;
  }
}

void TextStream::Release(Piece& piece) {
  const size_t known = held_.size() - matcher_.pending();
  piece.text = held_.substr(0, known);
  held_.erase(0, known);
}

}  // namespace predictd
