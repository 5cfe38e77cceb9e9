#ifndef PREDICTD_SERVER_TORCH_OUTPUT_LEAVES_H_
#define PREDICTD_SERVER_TORCH_OUTPUT_LEAVES_H_

// Finds the single values in what a TorchScript method returns. Private to the predictd_torch target.

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace predictd {

// A possible output: a value that is not a tuple, list or dict of further ones.
struct OutputLeaf {
  // From the outside in: "1.0", "hidden.2".
  std::string path;
  // The innermost key or field; empty if there is none.
  std::string name;
  // The indices along the path, if it leads only through tuples.
  std::vector<size_t> indices;
  // Whether its position identifies it. That is not so below a dict.
  bool ordered = true;
  // Whether its type says that it may be None.
  bool may_be_none = false;
  // `varying`: it lies in a part whose type does not say how many leaves it has. `loose`: it comes after such a part,
  // so that its position differs from value to value.
  bool varying = false;
  bool loose = false;
  // None for a leaf of a type.
  c10::IValue value;
};

// The leaves that every value of the type has; nullopt if they differ from value to value.
std::optional<std::vector<OutputLeaf>> LeavesOfType(const c10::Type& type);

// The leaves of a value of the type.
std::vector<OutputLeaf> LeavesOf(const c10::IValue& value, const c10::Type& type);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_OUTPUT_LEAVES_H_
