#include "server/tokenizer/sentencepiece_normalizer.h"

#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

// These read the fields of a unit of the double array.
bool HasLeaf(uint32_t unit) {
  return ((unit >> 8) & 1) == 1;
}
uint32_t LabelOf(uint32_t unit) {
  return unit & ((1U << 31) | 0xFF);
}
uint32_t OffsetOf(uint32_t unit) {
  return (unit >> 10) << ((unit & (1U << 9)) >> 6);
}
uint32_t ValueOf(uint32_t unit) {
  return unit & ((1U << 31) - 1);
}

}  // namespace

absl::StatusOr<SentencePieceNormalizer> SentencePieceNormalizer::Create(const SentencePieceModel::Normalizer& spec,
                                                                        ByteTrie kept) {
  SentencePieceNormalizer normalizer(spec, std::move(kept));
  if (absl::Status status = normalizer.ReadTable(); !status.ok()) return status;
  return normalizer;
}

// The table is the size of the double array, the array itself, and the texts. Numbers are little-endian.
absl::Status SentencePieceNormalizer::ReadTable() {
  if (spec_.charsmap.empty()) return absl::OkStatus();
  absl::Status broken = absl::InvalidArgumentError("precompiled_charsmap is broken");
  absl::string_view rest = spec_.charsmap;
  uint32_t size = 0;
  if (rest.size() < sizeof(size)) return broken;
  memcpy(&size, rest.data(), sizeof(size));
  rest.remove_prefix(sizeof(size));
  if (size > rest.size() || size % sizeof(uint32_t) != 0) return broken;
  units_.resize(size / sizeof(uint32_t));
  memcpy(units_.data(), rest.data(), size);
  replacements_ = std::string(rest.substr(size));
  if (units_.empty() || !absl::EndsWith(replacements_, absl::string_view("\0", 1)) || !IsUtf8(replacements_)) {
    return broken;
  }
  spec_.charsmap.clear();
  return absl::OkStatus();
}

std::string SentencePieceNormalizer::Normalize(absl::string_view text, Place place) const {
  std::string result;
  const bool trims = spec_.remove_extra_whitespaces;
  // While this is true, spaces are left out.
  bool after_space = trims && place.begins;
  for (Step step{}; after_space && !text.empty(); text.remove_prefix(step.length)) {
    step = NextStep(text);
    if (step.text != " ") break;
  }
  if (text.empty()) return result;
  if (place.begins && spec_.add_dummy_prefix && !spec_.space_is_suffix) absl::StrAppend(&result, kSpacePiece);
  for (Step step{}; !text.empty(); text.remove_prefix(step.length)) {
    step = NextStep(text);
    while (after_space && absl::ConsumePrefix(&step.text, " ")) {
    }
    if (step.text.empty()) continue;
    for (const char byte : step.text) byte == ' ' ? absl::StrAppend(&result, kSpacePiece) : result.push_back(byte);
    after_space = trims && absl::EndsWith(step.text, " ");
  }
  while (trims && place.ends && absl::EndsWith(result, kSpacePiece)) result.resize(result.size() - kSpacePiece.size());
  if (place.ends && spec_.add_dummy_prefix && spec_.space_is_suffix) absl::StrAppend(&result, kSpacePiece);
  return result;
}

SentencePieceNormalizer::Step SentencePieceNormalizer::NextStep(absl::string_view text) const {
  size_t kept = 0;
  kept_.ForEachPrefix(text, [&kept](size_t length, int32_t /*value*/) { kept = length; });
  if (kept > 0) return {kept, text.substr(0, kept)};
  const Step rule = FindRule(text);
  if (rule.length > 0) return rule;
  const size_t length = NextUtf8(text).length;
  return {length, text.substr(0, length)};
}

SentencePieceNormalizer::Step SentencePieceNormalizer::FindRule(absl::string_view text) const {
  Step longest{};
  if (units_.empty()) return longest;
  uint32_t node = OffsetOf(units_[0]);
  for (size_t index = 0; index < text.size(); ++index) {
    const auto byte = static_cast<uint8_t>(text[index]);
    node ^= byte;
    if (node >= units_.size() || LabelOf(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= OffsetOf(unit);
    if (!HasLeaf(unit)) continue;
    if (node >= units_.size() || ValueOf(units_[node]) >= replacements_.size()) break;
    longest = {index + 1, absl::string_view(&replacements_[ValueOf(units_[node])])};
  }
  return longest;
}

}  // namespace predictd
