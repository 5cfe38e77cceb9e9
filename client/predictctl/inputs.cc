#include "client/predictctl/inputs.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "client/predictctl/json_tensor.h"
#include "client/predictctl/npy.h"

namespace predictd {
namespace {

constexpr absl::string_view kStandardInput = "-";

absl::Status Annotated(absl::string_view where, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", status.message()));
}

absl::StatusOr<std::string> ReadFile(const std::string& path, std::istream& standard_input) {
  if (path == kStandardInput) {
    return std::string(std::istreambuf_iterator<char>(standard_input), std::istreambuf_iterator<char>());
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string content;
  char block[1 << 16];
  while (file.read(block, sizeof(block)) || file.gcount() > 0)
    content.append(block, static_cast<std::size_t>(file.gcount()));
  // A folder can be opened, but not read.
  if (file.eof()) return content;
  return absl::InvalidArgumentError(absl::StrCat("cannot read '", path, "': ", std::strerror(errno)));
}

// "[NAME=]SOURCE". No name can start like a source does.
struct Spec {
  std::string name;
  std::string source;
};

Spec SplitSpec(const std::string& spec) {
  const std::size_t equals = spec.find('=');
  const bool starts_as_source = !spec.empty() && absl::StrContains("@[{\"-0123456789", spec.substr(0, 1));
  if (equals == std::string::npos || starts_as_source) return {"", spec};
  return {spec.substr(0, equals), spec.substr(equals + 1)};
}

absl::StatusOr<Input> ReadInput(const std::string& text, std::istream& standard_input) {
  const Spec spec = SplitSpec(text);
  std::string content = spec.source;
  if (absl::StartsWith(spec.source, "@")) {
    const std::string path = spec.source.substr(1);
    absl::StatusOr<std::string> read = ReadFile(path, standard_input);
    if (!read.ok()) return read.status();
    if (LooksLikeNpy(*read) || absl::EndsWith(path, ".npy")) {
      absl::StatusOr<v1::Tensor> tensor = ParseNpy(*read);
      if (!tensor.ok()) return Annotated(path, tensor.status());
      return Input{spec.name, *std::move(tensor)};
    }
    content = *std::move(read);
  }
  absl::StatusOr<nlohmann::json> json = ParseJson(content);
  if (!json.ok()) return json.status();
  return Input{spec.name, *std::move(json)};
}

const v1::TensorSpec* FindSpec(const v1::Model& model, const std::string& name) {
  const auto found = std::find_if(model.inputs().begin(), model.inputs().end(),
                                  [&name](const v1::TensorSpec& spec) { return spec.name() == name; });
  return found == model.inputs().end() ? nullptr : &*found;
}

std::string InputNames(const v1::Model& model) {
  return absl::StrJoin(model.inputs(), ", ", [](std::string* out, const v1::TensorSpec& spec) {
    absl::StrAppend(out, "'", spec.name(), "'");
  });
}

absl::StatusOr<v1::Tensor> ResolveInput(Input input, const v1::Model& model) {
  if (input.name.empty()) {
    if (model.inputs_size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat("model '", model.name(), "' has the inputs ", InputNames(model),
                                                     ": say which one, as in --input NAME=..."));
    }
    input.name = model.inputs(0).name();
  }
  v1::Tensor tensor;
  if (const auto* json = std::get_if<nlohmann::json>(&input.value)) {
    const v1::TensorSpec* spec = FindSpec(model, input.name);
    if (spec == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("model '", model.name(), "' has no input '", input.name, "', only ", InputNames(model)));
    }
    absl::StatusOr<v1::Tensor> converted = TensorFromJson(*json, spec->dtype());
    if (!converted.ok()) return Annotated(absl::StrCat("input '", input.name, "'"), converted.status());
    tensor = *std::move(converted);
  } else {
    tensor = std::get<v1::Tensor>(std::move(input.value));
  }
  tensor.set_name(input.name);
  return tensor;
}

}  // namespace

absl::StatusOr<std::vector<Input>> ReadInputs(const std::vector<std::string>& specs,
                                              const std::vector<std::string>& objects, std::istream& standard_input) {
  std::vector<Input> inputs;
  for (const std::string& spec : specs) {
    absl::StatusOr<Input> input = ReadInput(spec, standard_input);
    if (!input.ok()) return Annotated(absl::StrCat("--input ", spec.substr(0, 40)), input.status());
    inputs.push_back(*std::move(input));
  }
  for (const std::string& path : objects) {
    const std::string where = absl::StrCat("--json-input ", path);
    const absl::StatusOr<std::string> text = ReadFile(path, standard_input);
    if (!text.ok()) return Annotated(where, text.status());
    absl::StatusOr<nlohmann::json> object = ParseJson(*text);
    if (!object.ok()) return Annotated(where, object.status());
    if (!object->is_object()) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": expected an object of input names and nested arrays"));
    }
    for (auto& [name, value] : object->items()) inputs.push_back({name, std::move(value)});
  }
  return inputs;
}

bool NeedSignature(const std::vector<Input>& inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const Input& input) {
    return input.name.empty() || std::holds_alternative<nlohmann::json>(input.value);
  });
}

absl::StatusOr<std::vector<v1::Tensor>> ResolveInputs(std::vector<Input> inputs, const v1::Model& model,
                                                      const std::optional<RowRange>& rows) {
  std::vector<v1::Tensor> tensors;
  for (Input& input : inputs) {
    absl::StatusOr<v1::Tensor> tensor = ResolveInput(std::move(input), model);
    if (!tensor.ok()) return tensor.status();
    if (rows.has_value()) {
      const absl::Status sliced = SliceRows(*rows, *tensor);
      if (!sliced.ok()) return Annotated(absl::StrCat("input '", tensor->name(), "'"), sliced);
    }
    tensors.push_back(*std::move(tensor));
  }
  return tensors;
}

}  // namespace predictd
