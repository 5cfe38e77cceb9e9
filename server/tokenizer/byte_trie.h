#ifndef PREDICTD_SERVER_TOKENIZER_BYTE_TRIE_H_
#define PREDICTD_SERVER_TOKENIZER_BYTE_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace predictd {

// A map from strings to numbers that finds all keys with which a text begins in one pass. It must not be changed while
// it is searched.
class ByteTrie {
 public:
  static constexpr int32_t kNone = -1;

  // `value` must not be negative. If a key is added twice, the last value counts.
  void Add(absl::string_view key, int32_t value) {
    uint32_t node = 0;
    for (const char byte : key) {
      const auto [next, is_new] = next_.try_emplace(EdgeOf(node, byte), static_cast<uint32_t>(values_.size()));
      node = next->second;
      if (is_new) values_.push_back(kNone);
    }
    values_[node] = value;
  }

  // Calls found(length, value) for each key with which `text` begins, the shortest first.
  template <class F>
  void ForEachPrefix(absl::string_view text, F found) const {
    uint32_t node = 0;
    for (size_t index = 0; index < text.size(); ++index) {
      const auto next = next_.find(EdgeOf(node, text[index]));
      if (next == next_.end()) return;
      node = next->second;
      if (values_[node] != kNone) found(index + 1, values_[node]);
    }
  }

 private:
  static uint64_t EdgeOf(uint32_t node, char byte) { return (uint64_t{node} << 8) | static_cast<uint8_t>(byte); }

  absl::flat_hash_map<uint64_t, uint32_t> next_;
  // The value of each node; the first node is the root.
  std::vector<int32_t> values_ = {kNone};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_BYTE_TRIE_H_
