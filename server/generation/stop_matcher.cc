#include "server/generation/stop_matcher.h"

#include <queue>

namespace predictd {

StopMatcher::StopMatcher(std::vector<std::string> strings) : strings_(std::move(strings)), nodes_(1) {
  for (size_t index = 0; index < strings_.size(); ++index) {
    size_t node = 0;
    for (const char byte : strings_[index]) {
      std::optional<size_t> child = Child(node, byte);
      if (!child.has_value()) {
        child = nodes_.size();
        nodes_[node].next.emplace_back(byte, *child);
        nodes_.emplace_back().depth = nodes_[node].depth + 1;
      }
      node = *child;
    }
    nodes_[node].match = index;
  }
  SetFallbacks();
}

std::optional<size_t> StopMatcher::Add(char byte) {
  state_ = Step(state_, byte);
  return nodes_[state_].match;
}

std::optional<size_t> StopMatcher::Child(size_t node, char byte) const {
  for (const auto& [next_byte, child] : nodes_[node].next) {
    if (next_byte == byte) return child;
  }
  return std::nullopt;
}

size_t StopMatcher::Step(size_t node, char byte) const {
  for (;;) {
    if (const std::optional<size_t> child = Child(node, byte)) return *child;
    if (node == 0) return 0;
    node = nodes_[node].fallback;
  }
}

void StopMatcher::SetFallbacks() {
  // Breadth-first, because a fallback is always shorter than its node.
  std::queue<size_t> waiting({0});
  for (; !waiting.empty(); waiting.pop()) {
    const size_t parent = waiting.front();
    for (const auto& [byte, child] : nodes_[parent].next) {
      Node& node = nodes_[child];
      if (parent != 0) node.fallback = Step(nodes_[parent].fallback, byte);
      if (!node.match.has_value()) node.match = nodes_[node.fallback].match;
      waiting.push(child);
    }
  }
}

}  // namespace predictd
