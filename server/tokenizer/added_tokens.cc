#include "server/tokenizer/added_tokens.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "absl/container/inlined_vector.h"

namespace predictd {
namespace {

bool IsWordCharacter(UChar32 c) {
  constexpr uint32_t kWord = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(c) & kWord) != 0;
}

UChar32 CharacterBefore(absl::string_view text, size_t position) {
  UChar32 character = 0;
  U8_PREV_UNSAFE(text.data(), position, character);
  return character;
}

UChar32 CharacterAt(absl::string_view text, size_t position) {
  UChar32 character = 0;
  U8_GET_UNSAFE(text.data(), position, character);
  return character;
}

bool IsSingleWord(absl::string_view text, size_t begin, size_t end) {
  return (begin == 0 || !IsWordCharacter(CharacterBefore(text, begin))) &&
         (end == text.size() || !IsWordCharacter(CharacterAt(text, end)));
}

size_t WithoutSpaceBefore(absl::string_view text, size_t lowest, size_t position) {
  while (position > lowest && u_isUWhiteSpace(CharacterBefore(text, position))) U8_BACK_1_UNSAFE(text.data(), position);
  return position;
}

size_t BehindSpace(absl::string_view text, size_t position) {
  while (position < text.size() && u_isUWhiteSpace(CharacterAt(text, position))) U8_FWD_1_UNSAFE(text.data(), position);
  return position;
}

}  // namespace

void AddedTokens::Add(absl::string_view text, const Token& token) {
  texts_.Add(text, static_cast<int32_t>(tokens_.size()));
  tokens_.push_back(token);
}

void AddedTokens::Split(MarkedView text, absl::FunctionRef<void(MarkedView)> on_text,
                        absl::FunctionRef<void(int32_t id)> on_token) const {
  const absl::string_view bytes = text.text();
  size_t done = 0;
  for (size_t next = 0; next < bytes.size();) {
    const Found found = Find(text, next);
    size_t begin = next;
    size_t end = next = found.end;
    if (found.token == nullptr || (found.token->single_word && !IsSingleWord(bytes, begin, end))) continue;
    if (found.token->strip_left) begin = WithoutSpaceBefore(bytes, std::min(done, begin), begin);
    if (found.token->strip_right) end = BehindSpace(bytes, end);
    if (done < begin) on_text(text.Part(done, begin));
    on_token(found.token->id);
    done = end;
  }
  if (done < bytes.size()) on_text(text.Part(done, bytes.size()));
}

AddedTokens::Found AddedTokens::Find(MarkedView text, size_t begin) const {
  absl::InlinedVector<Found, 8> candidates;
  texts_.ForEachPrefix(text.text().substr(begin), [&](size_t length, int32_t index) {
    candidates.push_back({begin + length, &tokens_[static_cast<size_t>(index)]});
  });
  if (candidates.empty()) return {begin + 1, nullptr};
  const size_t longest = candidates.back().end;
  if (candidates.back().token->special && !text.AnyTrusted(begin, longest)) return {longest, nullptr};
  for (; !candidates.empty(); candidates.pop_back()) {
    const Found& candidate = candidates.back();
    if (!candidate.token->special || text.AllTrusted(begin, candidate.end)) return candidate;
  }
  return {begin + 1, nullptr};
}

}  // namespace predictd
