#ifndef PREDICTD_SERVER_COMPILED_CALL_SPEC_H_
#define PREDICTD_SERVER_COMPILED_CALL_SPEC_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// A leaf of a tree of tuples, lists and dicts, in the order in which compiled code takes or returns the leaves.
struct SpecLeaf {
  // From the outside in: "x", "1.0", "d.key". For an argument without a name it begins with the argument's position.
  std::string path;
  // The innermost key or field in the path; empty if there is none.
  std::string name;
  // Whether its position identifies it. That is not so below a dict or for a keyword argument.
  bool ordered = true;
};

// Reads the call spec of an AOTInductor package: PyTorch's serialised tree of what `forward` takes (its positional
// arguments, then its keyword arguments) or returns. INVALID_ARGUMENT for any other text.
absl::StatusOr<std::vector<SpecLeaf>> ReadInputSpec(absl::string_view json);
absl::StatusOr<std::vector<SpecLeaf>> ReadOutputSpec(absl::string_view json);

// For each of the names, which are unique, finds the index of its leaf: the leaf with that path (whose first part may
// be the name of an argument that the package knows only by position), or the only leaf with that name. Names that
// match no leaf take the remaining ordered leaves in their order. If `all_leaves` is true, each leaf must be taken.
// FAILED_PRECONDITION says which name or leaf remains, or which name means the same leaf as another, and what leaves
// there are; `what` is "input" or "output".
absl::StatusOr<std::vector<size_t>> MatchNames(const std::vector<std::string>& names,
                                               const std::vector<SpecLeaf>& leaves, absl::string_view what,
                                               bool all_leaves);

}  // namespace predictd

#endif  // PREDICTD_SERVER_COMPILED_CALL_SPEC_H_
