#include "server/compiled/call_spec.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

constexpr int kMaxJsonDepth = 64;
constexpr size_t kMaxLeaves = 4096;
constexpr size_t kNone = static_cast<size_t>(-1);

std::string Join(const std::string& path, const std::string& part) {
  return path.empty() ? part : absl::StrCat(path, ".", part);
}

// Flattens one tree.
class CallSpecReader {
 public:
  bool Flatten(const Json& node, const SpecLeaf& at, int depth) {
    if (depth > kMaxJsonDepth || leaves_.size() > kMaxLeaves || !node.is_object()) return false;
    const Json& type = node.value("type", Json());
    const Json& children = node.value("children_spec", Json());
    if (!children.is_array()) return false;
    if (type.is_null()) {
      leaves_.push_back(at);
      return children.empty();
    }
    const std::vector<std::string> keys = KeysOf(node, children.size());
    for (size_t i = 0; i < children.size(); ++i) {
      SpecLeaf child = at;
      child.path = Join(at.path, keys.empty() ? absl::StrCat(i) : keys[i]);
      child.name = keys.empty() ? "" : keys[i];
      if (!keys.empty()) child.ordered = false;
      if (!Flatten(children[i], child, depth + 1)) return false;
    }
    return true;
  }

  std::vector<SpecLeaf> Take() { return std::move(leaves_); }

 private:
  // The keys of a dict, a dataclass, or any node with a key for each child; empty for a tuple or list.
  static std::vector<std::string> KeysOf(const Json& node, size_t children) {
    Json list = node.value("context", Json());
    if (list.is_string()) list = Json::parse(list.get<std::string>(), nullptr, /*allow_exceptions=*/false);
    // A defaultdict's keys stand beside its factory, and a dataclass's stand before those of the fields that are None.
    if (list.is_object()) list = list.value("dict_context", Json());
    if (list.is_array() && !list.empty() && list[0].is_array()) list = Json(list[0]);
    if (!list.is_array() || list.size() != children) return {};
    std::vector<std::string> keys;
    for (const Json& key : list) keys.push_back(key.is_string() ? key.get<std::string>() : key.dump());
    return keys;
  }

  std::vector<SpecLeaf> leaves_;
};

absl::StatusOr<Json> ReadTree(absl::string_view json) {
  Json spec = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (!spec.is_array() || spec.size() != 2 || !spec[1].is_object()) {
    return absl::InvalidArgumentError("the package's call spec cannot be read");
  }
  return std::move(spec[1]);
}

absl::Status Unreadable() {
  return absl::InvalidArgumentError("the package's call spec is not one of tuples, lists and dicts");
}

std::string PathsOf(const std::vector<SpecLeaf>& leaves) {
  return absl::StrJoin(leaves, ", ", [](std::string* out, const SpecLeaf& leaf) {
    absl::StrAppend(out, leaf.path.empty() ? "one without a name" : leaf.path);
  });
}

// The index of the only leaf that satisfies the predicate; kNone if there are none or several.
template <class Predicate>
size_t FindOnly(const std::vector<SpecLeaf>& leaves, Predicate predicate) {
  const auto first = std::find_if(leaves.begin(), leaves.end(), predicate);
  if (first == leaves.end() || std::find_if(first + 1, leaves.end(), predicate) != leaves.end()) return kNone;
  return static_cast<size_t>(first - leaves.begin());
}

// What follows the first part of a path: it is the same for "0.key" and "d.key".
absl::string_view Tail(absl::string_view path) {
  const size_t point = path.find('.');
  return point == absl::string_view::npos ? absl::string_view() : path.substr(point);
}

size_t Find(const std::string& name, const std::vector<SpecLeaf>& leaves) {
  const size_t by_path = FindOnly(leaves, [&name](const SpecLeaf& leaf) { return leaf.path == name; });
  if (by_path != kNone || name.empty()) return by_path;
  const size_t by_name = FindOnly(leaves, [&name](const SpecLeaf& leaf) { return leaf.name == name; });
  const absl::string_view tail = Tail(name);
  if (by_name != kNone || tail.empty()) return by_name;
  // The author of model.toml knows the argument's name, which the package does not.
  return FindOnly(leaves, [tail](const SpecLeaf& leaf) {
    return absl::ascii_isdigit(static_cast<unsigned char>(leaf.path[0])) && Tail(leaf.path) == tail;
  });
}

}  // namespace

absl::StatusOr<std::vector<SpecLeaf>> ReadInputSpec(absl::string_view json) {
  absl::StatusOr<Json> tree = ReadTree(json);
  if (!tree.ok()) return tree.status();
  // Positional arguments and keyword arguments.
  const Json& parts = tree->value("children_spec", Json());
  if (!parts.is_array() || parts.size() != 2) return Unreadable();
  CallSpecReader reader;
  for (const Json& part : parts) {
    if (!reader.Flatten(part, {}, 0)) return Unreadable();
  }
  return reader.Take();
}

absl::StatusOr<std::vector<SpecLeaf>> ReadOutputSpec(absl::string_view json) {
  absl::StatusOr<Json> tree = ReadTree(json);
  if (!tree.ok()) return tree.status();
  CallSpecReader reader;
  if (!reader.Flatten(*tree, {}, 0)) return Unreadable();
  return reader.Take();
}

absl::StatusOr<std::vector<size_t>> MatchNames(const std::vector<std::string>& names,
                                               const std::vector<SpecLeaf>& leaves, absl::string_view what,
                                               bool all_leaves) {
  std::vector<size_t> matched;
  std::vector<bool> taken(leaves.size(), false);
  for (const std::string& name : names) {
    matched.push_back(Find(name, leaves));
    if (matched.back() == kNone) continue;
    if (taken[matched.back()]) {
      return absl::FailedPreconditionError(
          absl::StrCat("model.toml has the ", what, " '", name,
                       "', but another name of it means the same; the package has: ", PathsOf(leaves)));
    }
    taken[matched.back()] = true;
  }
  size_t next = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (matched[i] != kNone) continue;
    while (next < leaves.size() && (taken[next] || !leaves[next].ordered)) ++next;
    if (next == leaves.size()) {
      return absl::FailedPreconditionError(absl::StrCat("model.toml has the ", what, " '", names[i],
                                                        "', which the package has not; it has: ", PathsOf(leaves)));
    }
    matched[i] = next;
    taken[next] = true;
  }
  const auto left = std::find(taken.begin(), taken.end(), false);
  if (all_leaves && left != taken.end()) {
    const SpecLeaf& leaf = leaves[left - taken.begin()];
    return absl::FailedPreconditionError(
        leaf.ordered ? absl::StrCat("the package takes ", leaves.size(), " ", what, "s, model.toml has ", names.size())
                     : absl::StrCat("the package has the ", what, " '", leaf.path, "', which model.toml has not"));
  }
  return matched;
}

}  // namespace predictd
