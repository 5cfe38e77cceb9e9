#include "server/tokenizer/bpe.h"

#include <unicode/utf8.h>

#include <algorithm>
#include <functional>
#include <limits>

namespace predictd {
namespace {

constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();
// Up to this many symbols, looking at all pairs for the best one is faster than a heap.
constexpr size_t kFew = 48;
// About a millisecond of work on a long word.
constexpr size_t kPairsBetweenLooks = 4096;

size_t EndOfCharacter(absl::string_view text, size_t position) {
  U8_FWD_1_UNSAFE(text.data(), position);
  return position;
}

uint64_t PairOf(int32_t left, int32_t right) {
  return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
}

}  // namespace

void Bpe::AddToken(absl::string_view text, int32_t id) {
  if (options_.byte_level && text.size() == 1) bytes_[static_cast<uint8_t>(text[0])] = id;
  tokens_[text] = id;
}

void Bpe::AddMerge(int32_t left, int32_t right, int32_t merged) {
  merges_[PairOf(left, right)] = {next_rank_++, merged};
}

void Bpe::Encode(absl::string_view word, const EncodeLimits& limits, Scratch& scratch,
                 std::vector<int32_t>& ids) const {
  if (options_.ignore_merges) {
    const auto found = tokens_.find(word);
    if (found != tokens_.end()) return ids.push_back(found->second);
  }
  scratch.symbols.clear();
  TakeApart(word, scratch.symbols);
  scratch.symbols.size() <= kFew ? MergeFew(scratch) : MergeMany(limits, scratch);
  std::copy_if(scratch.symbols.begin(), scratch.symbols.end(), std::back_inserter(ids),
               [](int32_t symbol) { return symbol != kNone; });
}

const Bpe::Merge& Bpe::FindMerge(int32_t left, int32_t right) const {
  static constexpr Merge kNoMerge = {kNoRank, kNone};
  const auto found = merges_.find(PairOf(left, right));
  return found == merges_.end() ? kNoMerge : found->second;
}

void Bpe::TakeApart(absl::string_view word, std::vector<int32_t>& symbols) const {
  // The number of unknown characters whose tokens are not written yet, because the next character may be fused with
  // them.
  size_t unknown = 0;
  const auto flush = [&] {
    for (; unknown > 0; --unknown) symbols.push_back(options_.unknown);
  };
  for (size_t next = 0; next < word.size();) {
    const size_t begin = next;
    next = options_.byte_level ? next + 1 : EndOfCharacter(word, next);
    const absl::string_view character = word.substr(begin, next - begin);
    int32_t id = kNone;
    if (options_.byte_level) {
      id = bytes_[static_cast<uint8_t>(character[0])];
    } else if (const auto found = tokens_.find(character); found != tokens_.end()) {
      id = found->second;
    }
    if (id != kNone) {
      flush();
      symbols.push_back(id);
      continue;
    }
    if (options_.byte_fallback.has_value()) {
      const auto fallback = [this](char byte) { return (*options_.byte_fallback)[static_cast<uint8_t>(byte)]; };
      if (std::none_of(character.begin(), character.end(), [&](char byte) { return fallback(byte) == kNone; })) {
        std::transform(character.begin(), character.end(), std::back_inserter(symbols), fallback);
        continue;
      }
    }
    if (options_.unknown == kNone) continue;
    if (unknown > 0 && !options_.fuse_unknown) flush();
    unknown = 1;
  }
  flush();
}

void Bpe::MergeFew(Scratch& scratch) const {
  std::vector<int32_t>& symbols = scratch.symbols;
  std::vector<uint32_t>& ranks = scratch.ranks;
  if (symbols.size() < 2) return;
  // The rank of each symbol with the next one.
  ranks.resize(symbols.size() - 1);
  for (size_t index = 0; index < ranks.size(); ++index)
    ranks[index] = FindMerge(symbols[index], symbols[index + 1]).rank;
  while (!ranks.empty()) {
    const auto best = std::min_element(ranks.begin(), ranks.end());
    if (*best == kNoRank) return;
    const auto index = best - ranks.begin();
    symbols[static_cast<size_t>(index)] =
        FindMerge(symbols[static_cast<size_t>(index)], symbols[static_cast<size_t>(index) + 1]).merged;
    symbols.erase(symbols.begin() + index + 1);
    ranks.erase(best);
    for (const auto left : {index - 1, index}) {
      if (left < 0 || static_cast<size_t>(left) >= ranks.size()) continue;
      ranks[static_cast<size_t>(left)] =
          FindMerge(symbols[static_cast<size_t>(left)], symbols[static_cast<size_t>(left) + 1]).rank;
    }
  }
}

void Bpe::MergeMany(const EncodeLimits& limits, Scratch& scratch) const {
  std::vector<int32_t>& symbols = scratch.symbols;
  const auto size = static_cast<uint32_t>(symbols.size());
  scratch.before.resize(size);
  scratch.behind.resize(size);
  scratch.heap.clear();
  const auto rank_of = [&](uint32_t left) { return FindMerge(symbols[left], symbols[scratch.behind[left]]).rank; };
  const auto key_of = [](uint32_t rank, uint32_t left) { return (uint64_t{rank} << 32) | left; };
  for (uint32_t index = 0; index < size; ++index) {
    scratch.before[index] = index == 0 ? kNoRank : index - 1;
    scratch.behind[index] = index + 1;
    if (index + 1 == size) break;
    if (const uint32_t rank = rank_of(index); rank != kNoRank) scratch.heap.push_back(key_of(rank, index));
  }
  std::make_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
  for (size_t pairs = 1; !scratch.heap.empty(); ++pairs) {
    if (pairs % kPairsBetweenLooks == 0 && limits.stopped()) return;
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
    const uint64_t best = scratch.heap.back();
    scratch.heap.pop_back();
    const auto left = static_cast<uint32_t>(best);
    // The pair may have changed since it was put into the heap.
    if (symbols[left] == kNone || scratch.behind[left] == size) continue;
    const uint32_t right = scratch.behind[left];
    const Merge& merge = FindMerge(symbols[left], symbols[right]);
    if (merge.rank != static_cast<uint32_t>(best >> 32)) continue;
    symbols[left] = merge.merged;
    symbols[right] = kNone;
    const uint32_t next = scratch.behind[left] = scratch.behind[right];
    if (next != size) scratch.before[next] = left;
    for (const uint32_t changed : {scratch.before[left], left}) {
      if (changed == kNoRank || scratch.behind[changed] == size) continue;
      const uint32_t rank = rank_of(changed);
      if (rank == kNoRank) continue;
      scratch.heap.push_back(key_of(rank, changed));
      std::push_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
    }
  }
}

}  // namespace predictd
