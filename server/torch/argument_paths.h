#ifndef PREDICTD_SERVER_TORCH_ARGUMENT_PATHS_H_
#define PREDICTD_SERVER_TORCH_ARGUMENT_PATHS_H_

// Decides which input of model.toml becomes which argument of a TorchScript method. Private to the predictd_torch
// target.

#include <ATen/core/function_schema.h>
#include <ATen/core/jit_type.h>

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace predictd {

// The type inside an Optional; any other type as it is.
c10::TypePtr WithoutOptional(const c10::TypePtr& type);
bool MayBeNone(const c10::Type& type);
// Whether it is a list or dict whose members are inputs of their own.
bool IsOpen(const c10::Type& type);
// The name of the tuple's member in a path: its field, or else its index.
std::string FieldName(const c10::TupleType& tuple, size_t i);

// The paths that inputs may have: `x`, or for a part of an argument `pair.0`, `xs.2`, `d.key`, `features.weight`.
class ArgumentPaths {
 public:
  // Each path, with the index of its input.
  using Map = std::map<std::string, size_t>;

  // `method` is the method's name in messages; `arguments` come without self; `inputs` are the names of the inputs.
  ArgumentPaths(std::string method, std::vector<c10::Argument> arguments, std::vector<std::string> inputs);

  // Assigns paths by the inputs' names; nullopt if that is impossible. Names that match no argument belong to the only
  // list or dict.
  std::optional<Map> ByNames() const;
  // Whether every name is a path by itself.
  bool AllNamed() const;
  // Assigns paths by the inputs' order. FAILED_PRECONDITION if they do not fit that way, or if their names contradict
  // it.
  absl::StatusOr<Map> ByOrder() const;

 private:
  // Where an input may go, in order: a single value, or a list or dict of any size.
  struct Place {
    std::string path;
    bool open = false;
    bool is_dict = false;
    // `required` is false if the argument can do without an input; `defaulted` is true if it declares a default for
    // that.
    bool required = true;
    bool defaulted = false;
  };

  void Flatten(const c10::TypePtr& optional, const std::string& path, const c10::Argument& argument);
  const Place* OnlyOpen() const;
  // The path that the name means by itself; empty if it means none.
  std::string PathOf(const std::string& name) const;
  absl::Status CheckNames(const Map& paths) const;
  // For messages: what the method takes, and the paths.
  std::string Takes() const;
  std::string PathsText() const;

  const std::string method_;
  const std::vector<c10::Argument> arguments_;
  const std::vector<std::string> inputs_;
  std::vector<Place> places_;
  // The paths of the fields of named tuples, by field name.
  std::map<std::string, std::vector<std::string>> fields_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_ARGUMENT_PATHS_H_
