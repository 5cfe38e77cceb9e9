#include "server/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/text/utf8.h"
#include "server/tokenizer/bpe_tokenizer.h"
#include "server/tokenizer/sentencepiece_tokenizer.h"

namespace predictd {
namespace {

using Loader = absl::StatusOr<std::shared_ptr<const Tokenizer>> (*)(const std::filesystem::path& file);

MarkedText Mark(absl::string_view text, absl::Span<const Tokenizer::Range> trusted) {
  MarkedText marked;
  size_t done = 0;
  for (const Tokenizer::Range& range : trusted) {
    const size_t begin = std::clamp(range.begin, done, text.size());
    const size_t end = std::clamp(range.end, begin, text.size());
    marked.Append(text.substr(done, begin - done), false);
    marked.Append(text.substr(begin, end - begin), true);
    done = end;
  }
  marked.Append(text.substr(done), false);
  return marked;
}

MarkedText ToUtf8(MarkedView text) {
  MarkedText result;
  const size_t size = text.text().size();
  for (size_t begin = 0; begin < size;) {
    const Utf8Step step = NextUtf8(text.text().substr(begin));
    const MarkedView part = text.Part(begin, begin + step.length);
    step.kind == Utf8Step::Kind::kCharacter ? result.Append(part) : result.AppendInstead(kReplacementCharacter, part);
    begin += step.length;
  }
  return result;
}

}  // namespace

Tokenizer::Tokenizer(TokenTable table) : table_(std::move(table)) {
  for (const auto& [text, id] : table_.special) special_texts_.Add(text, id);
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> Tokenizer::Load(const std::filesystem::path& folder) {
  constexpr std::pair<const char*, Loader> kLoaders[] = {{"tokenizer.json", LoadBpeTokenizer},
                                                         {"tokenizer.model", LoadSentencePieceTokenizer}};
  for (const auto& [name, load] : kLoaders) {
    absl::StatusOr<std::shared_ptr<const Tokenizer>> tokenizer = load(folder / name);
    if (tokenizer.ok()) return tokenizer;
    if (absl::IsNotFound(tokenizer.status())) continue;
    return absl::Status(tokenizer.status().code(), absl::StrCat(name, ": ", tokenizer.status().message()));
  }
  return absl::NotFoundError("there is neither a tokenizer.json nor a tokenizer.model");
}

std::vector<int32_t> Tokenizer::Encode(absl::string_view text, absl::Span<const Range> trusted,
                                       const EncodeLimits& limits) const {
  MarkedText marked = Mark(text, trusted);
  if (!IsUtf8(text)) marked = ToUtf8(marked.view());
  std::vector<int32_t> ids;
  EncodeText(marked.view(), limits, ids);
  return ids;
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  TextBytes text(*this);
  for (const int32_t id : ids) {
    if (!skip_special || !IsSpecial(id)) absl::StrAppend(&bytes, text.Next(id));
  }
  return predictd::ToUtf8(bytes);
}

absl::string_view Tokenizer::TokenBytes(int32_t id) const {
  return IsToken(id) ? table_.tokens[static_cast<size_t>(id)].bytes : absl::string_view();
}

bool Tokenizer::IsSpecial(int32_t id) const {
  return IsToken(id) && table_.tokens[static_cast<size_t>(id)].special;
}

std::optional<int32_t> Tokenizer::SpecialToken(absl::string_view text) const {
  const auto found = table_.special.find(text);
  if (found == table_.special.end()) return std::nullopt;
  return found->second;
}

bool Tokenizer::HoldsSpecialToken(absl::string_view text) const {
  bool found = false;
  for (size_t begin = 0; begin < text.size() && !found; ++begin) {
    special_texts_.ForEachPrefix(text.substr(begin), [&found](size_t /*length*/, int32_t /*id*/) { found = true; });
  }
  return found;
}

absl::string_view Tokenizer::TextBytes::Next(int32_t id) {
  using LeadingSpaces = TokenTable::LeadingSpaces;
  absl::string_view bytes = tokenizer_.TokenBytes(id);
  if (!drops_ || bytes.empty()) return bytes;
  const LeadingSpaces leading = tokenizer_.table_.leading_spaces;
  const bool keeps = tokenizer_.table_.tokens[static_cast<size_t>(id)].keeps_spaces;
  if (leading == LeadingSpaces::kFirstTokensDropped) {
    drops_ = false;
    if (keeps) return bytes;
    without_spaces_ = absl::StrReplaceAll(bytes, {{" ", ""}});
    return without_spaces_;
  }
  if (bytes[0] == ' ' && !keeps) bytes.remove_prefix(1);
  drops_ = bytes.empty() && leading == LeadingSpaces::kOneOfEachDropped;
  return bytes;
}

}  // namespace predictd
