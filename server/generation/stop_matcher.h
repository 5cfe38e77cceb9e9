#ifndef PREDICTD_SERVER_GENERATION_STOP_MATCHER_H_
#define PREDICTD_SERVER_GENERATION_STOP_MATCHER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"

namespace predictd {

// Watches a text, byte by byte, for the first of several strings (Aho-Corasick). For one thread.
class StopMatcher {
 public:
  // None of them is empty.
  explicit StopMatcher(std::vector<std::string> strings);

  // Takes the next byte. The index of a string that ends with it; the longest if there are several.
  std::optional<size_t> Add(char byte);

  // So many of the bytes until now may be the beginning of a string.
  size_t pending() const { return nodes_[state_].depth; }

  const std::string& string(size_t index) const { return strings_[index]; }

 private:
  // A beginning of some string.
  struct Node {
    size_t depth = 0;
    // The longest other beginning that this one ends with.
    size_t fallback = 0;
    // The longest string that this beginning ends with.
    std::optional<size_t> match;
    absl::InlinedVector<std::pair<char, size_t>, 1> next;
  };

  std::optional<size_t> Child(size_t node, char byte) const;
  // Where a byte leads from a node.
  size_t Step(size_t node, char byte) const;
  void SetFallbacks();

  const std::vector<std::string> strings_;
  std::vector<Node> nodes_;
  size_t state_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_STOP_MATCHER_H_
