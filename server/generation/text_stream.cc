#include "server/generation/text_stream.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

// The most bytes that an incomplete character can have.
constexpr size_t kLongestIncomplete = 3;

// The end of the bytes that may still become a character.
absl::string_view IncompleteEnd(absl::string_view bytes) {
  for (size_t length = 1; length <= std::min(bytes.size(), kLongestIncomplete); ++length) {
    const absl::string_view end = bytes.substr(bytes.size() - length);
    const bool continues = (static_cast<uint8_t>(end[0]) & 0xC0) == 0x80;
    if (continues) continue;
    return NextUtf8(end).kind == Utf8Step::Kind::kIncomplete ? end : absl::string_view();
  }
  return {};
}

// Moves the strings with special tokens out of `strings`.
std::optional<WrittenStops> TakeWritten(const Tokenizer& tokenizer, std::vector<std::string>& strings) {
  const auto written = std::stable_partition(strings.begin(), strings.end(), [&tokenizer](const std::string& string) {
    return !tokenizer.HoldsSpecialToken(string);
  });
  if (written == strings.end()) return std::nullopt;
  std::vector<std::string> taken(std::make_move_iterator(written), std::make_move_iterator(strings.end()));
  strings.erase(written, strings.end());
  return WrittenStops(std::move(taken));
}

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stop_strings,
                       absl::Span<const int32_t> prompt)
    : tokenizer_(tokenizer),
      bytes_(tokenizer),
      written_(TakeWritten(tokenizer, stop_strings)),
      matcher_(std::move(stop_strings)) {
  TakePrompt(prompt);
}

void TextStream::TakePrompt(absl::Span<const int32_t> prompt) {
  for (size_t i = 0; i < prompt.size() && bytes_.drops_spaces(); ++i) {
    if (!tokenizer_.IsSpecial(prompt[i])) bytes_.Next(prompt[i]);
  }
  std::string end;
  for (size_t i = prompt.size(); i > 0 && end.size() < kLongestIncomplete; --i) {
    if (tokenizer_.IsSpecial(prompt[i - 1])) continue;
    const absl::string_view bytes = tokenizer_.TokenBytes(prompt[i - 1]);
    end.insert(0, std::string(bytes.substr(bytes.size() - std::min(bytes.size(), kLongestIncomplete))));
  }
  incomplete_ = std::string(IncompleteEnd(end));
  began_in_prompt_ = !incomplete_.empty();
}

TextStream::Piece TextStream::Add(int32_t token) {
  Piece piece;
  if (stopped_) return piece;
  if (tokenizer_.IsSpecial(token)) {
    if (written_.has_value()) AddWritten(tokenizer_.TokenBytes(token), piece);
    if (!stopped_) Release(piece);
    return piece;
  }
  const std::string bytes = absl::StrCat(incomplete_, bytes_.Next(token));
  absl::string_view rest = bytes;
  incomplete_.clear();
  while (!rest.empty() && !stopped_) {
    const Utf8Step step = NextUtf8(rest);
    if (step.kind == Utf8Step::Kind::kIncomplete) {
      incomplete_ = std::string(rest);
      break;
    }
    const bool is_character = step.kind == Utf8Step::Kind::kCharacter;
    if (is_character || !began_in_prompt_) {
      AddText(is_character ? rest.substr(0, step.length) : kReplacementCharacter, piece);
    }
    began_in_prompt_ = false;
    rest.remove_prefix(step.length);
  }
  if (!stopped_) Release(piece);
  return piece;
}

TextStream::Piece TextStream::AddEnd(int32_t token) {
  return tokenizer_.IsSpecial(token) ? Add(token) : Piece();
}

TextStream::Piece TextStream::Finish() {
  Piece piece;
  if (stopped_) return piece;
  if (!incomplete_.empty() && !began_in_prompt_) AddText(kReplacementCharacter, piece);
  if (!stopped_) piece.text = std::exchange(held_, {});
  stopped_ = true;
  return piece;
}

void TextStream::AddText(absl::string_view text, Piece& piece) {
  for (const char byte : text) {
    held_.push_back(byte);
    const std::optional<size_t> match = matcher_.Add(byte);
    const size_t length = match.has_value() ? matcher_.string(*match).size() : 0;
    const std::optional<WrittenStops::Match> written = written_.has_value() ? written_->Add(byte, true) : std::nullopt;
    if (written.has_value() && written->shown >= length) return Stop(written->shown, *written->string, piece);
    if (match.has_value()) return Stop(length, matcher_.string(*match), piece);
  }
}

void TextStream::AddWritten(absl::string_view text, Piece& piece) {
  for (const char byte : text) {
    const std::optional<WrittenStops::Match> match = written_->Add(byte, false);
    if (match.has_value()) return Stop(match->shown, *match->string, piece);
  }
}

void TextStream::Stop(size_t bytes, const std::string& stop_string, Piece& piece) {
  piece.stopped = stopped_ = true;
  piece.stop_string = stop_string;
  piece.text = held_.substr(0, held_.size() - bytes);
  held_.clear();
}

void TextStream::Release(Piece& piece) {
  const size_t pending = std::max(matcher_.pending(), written_.has_value() ? written_->pending() : 0);
  const size_t known = held_.size() - pending;
  piece.text = held_.substr(0, known);
  held_.erase(0, known);
}

}  // namespace predictd
