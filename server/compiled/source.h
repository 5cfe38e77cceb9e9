#ifndef PREDICTD_SERVER_COMPILED_SOURCE_H_
#define PREDICTD_SERVER_COMPILED_SOURCE_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/compiled/size_expression.h"

namespace predictd {

// One extent of an input of compiled code.
struct CompiledExtent {
  // The extent, if it is always the same.
  std::optional<int64_t> fixed = {};
  // Otherwise its bounds. A `least` of 2 means no lower bound: PyTorch writes it for every extent that may be smaller.
  int64_t least = 0;
  int64_t most = std::numeric_limits<int64_t>::max();
  // Its expression in terms of other extents; nullopt if that is not known.
  std::optional<SizeExpression> size = {};
};

struct CompiledInput {
  std::string name;
  // PyTorch's name: "float32". Empty if it is not known.
  std::string dtype;
  std::vector<CompiledExtent> extents;
  // The strides of the tensor's memory, in elements; empty if they are not known.
  std::vector<std::optional<SizeExpression>> strides;
  // Whether the code may write to it.
  bool written = false;
  // Whether the code reads it at all.
  bool used = true;
};

// What the C++ source in an AOTInductor package says about the code that was compiled from it. The compiled code
// contains the same checks of its inputs, but performs them only if an environment variable says so, and is then too
// strict: see `least`. So the checks are read from the source instead, once, when the package is loaded.
struct CompiledSource {
  std::vector<CompiledInput> inputs;
  // The indices of the outputs that are tensors; the others are None.
  std::set<size_t> outputs;
  // The constants (in fact buffers) that a run may change.
  std::vector<std::string> written_constants;
  // Whether the code calls LibTorch's convolution.
  bool convolves = false;
};

// FAILED_PRECONDITION if the text has no such checks: it comes from another version, or not from AOTInductor.
absl::StatusOr<CompiledSource> ReadCompiledSource(absl::string_view text);

}  // namespace predictd

#endif  // PREDICTD_SERVER_COMPILED_SOURCE_H_
