#ifndef PREDICTD_SERVER_GENERATION_STOP_MATCHER_H_
#define PREDICTD_SERVER_GENERATION_STOP_MATCHER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"

namespace predictd {

// Watches a text, byte by byte, for the first occurrence of any of several strings (Aho-Corasick). For one thread.
class StopMatcher {
 public:
  // No string may be empty.
  explicit StopMatcher(std::vector<std::string> strings);

  // Takes the next byte. Returns the index of a string that ends with it, the longest one if there are several.
  std::optional<size_t> Add(char byte);

  // How many of the latest bytes may be the beginning of a string.
  size_t pending() const { return nodes_[state_].depth; }

  const std::string& string(size_t index) const { return strings_[index]; }

 private:
  // A prefix of some string.
  struct Node {
    size_t depth = 0;
    // The node of the longest other prefix that this one ends with.
    size_t fallback = 0;
    // The longest string that this prefix ends with.
    std::optional<size_t> match;
    absl::InlinedVector<std::pair<char, size_t>, 1> next;
  };

  std::optional<size_t> Child(size_t node, char byte) const;
  // The node to which a byte leads from `node`.
  size_t Step(size_t node, char byte) const;
  void SetFallbacks();

  const std::vector<std::string> strings_;
  std::vector<Node> nodes_;
  size_t state_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_STOP_MATCHER_H_
