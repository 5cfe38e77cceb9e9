#include "client/predictctl/inputs.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "client/predictctl/cast.h"
#include "client/predictctl/file.h"
#include "client/predictctl/json_tensor.h"
#include "client/predictctl/json_text.h"
#include "client/predictctl/npy.h"

namespace predictd {
namespace {

constexpr absl::string_view kStandardInput = "-";

absl::Status Annotated(absl::string_view where, const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", status.message()));
}

// Reads files, of which one may be standard input.
class Sources {
 public:
  explicit Sources(std::istream& standard_input) : standard_input_(standard_input) {}

  absl::StatusOr<std::string> Read(const std::string& path) {
    if (path != kStandardInput) return ReadFile(path);
    if (std::exchange(was_read_, true)) return absl::InvalidArgumentError("standard input was already read");
    return std::string(std::istreambuf_iterator<char>(standard_input_), std::istreambuf_iterator<char>());
  }

 private:
  std::istream& standard_input_;
  bool was_read_ = false;
};

// "[NAME=]SOURCE". No name can start like a source does.
struct Spec {
  std::string name;
  std::string source;
};

Spec SplitSpec(const std::string& spec) {
  const std::size_t equals = spec.find('=');
  const bool starts_as_source = !spec.empty() && absl::StrContains("@[{\"-0123456789", spec.substr(0, 1));
  Spec split{"", spec};
  if (equals != std::string::npos && !starts_as_source) split = {spec.substr(0, equals), spec.substr(equals + 1)};
  if (split.source == kStandardInput) split.source = "@-";
  return split;
}

// JSON from a file, or an error that names the format of the file.
absl::StatusOr<nlohmann::json> ParseJsonFile(const std::string& content) {
  if (absl::StripAsciiWhitespace(content).empty()) return absl::InvalidArgumentError("there is nothing in it");
  if (std::string format = ForeignFormat(content); !format.empty()) return absl::InvalidArgumentError(format);
  return ParseJson(content, NonFinite::kAsStrings);
}

absl::StatusOr<Input> ReadInput(const std::string& text, Sources& sources) {
  const Spec spec = SplitSpec(text);
  if (!absl::StartsWith(spec.source, "@")) {
    absl::StatusOr<nlohmann::json> json = ParseJson(spec.source, NonFinite::kAsStrings);
    if (json.ok()) return Input{spec.name, *std::move(json)};
    // Somebody who forgets the @ has most likely written the name of a file.
    if (!absl::EndsWith(spec.source, ".npy") && !absl::EndsWith(spec.source, ".json")) return json.status();
    return absl::InvalidArgumentError(absl::StrCat("not JSON; a file is written @", spec.source));
  }
  const std::string path = spec.source.substr(1);
  absl::StatusOr<std::string> read = sources.Read(path);
  if (!read.ok()) return read.status();
  if (LooksLikeNpy(*read) || (absl::EndsWith(path, ".npy") && !read->empty() && ForeignFormat(*read).empty())) {
    absl::StatusOr<v1::Tensor> tensor = ParseNpy(*read);
    if (!tensor.ok()) return tensor.status();
    return Input{spec.name, *std::move(tensor)};
  }
  absl::StatusOr<nlohmann::json> json = ParseJsonFile(*read);
  if (!json.ok()) return json.status();
  return Input{spec.name, *std::move(json)};
}

// The spec as an error shows it: JSON may be long.
std::string ShownSpec(const std::string& text) {
  constexpr std::size_t kLongest = 40;
  if (text.size() <= kLongest || absl::StartsWith(SplitSpec(text).source, "@")) return text;
  return absl::StrCat(text.substr(0, kLongest), "...");
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

absl::StatusOr<v1::Tensor> ResolveInput(Input input, const v1::Model& model, bool cast) {
  if (input.name.empty()) {
    if (model.inputs_size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat("model '", model.name(), "' has the inputs ", InputNames(model),
                                                     ": say which one, as in --input NAME=..."));
    }
    input.name = model.inputs(0).name();
  }
  const auto* json = std::get_if<nlohmann::json>(&input.value);
  absl::StatusOr<v1::Tensor> tensor;
  if (json == nullptr && !cast) {
    tensor = std::get<v1::Tensor>(std::move(input.value));
  } else {
    const v1::TensorSpec* spec = FindSpec(model, input.name);
    if (spec == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("model '", model.name(), "' has no input '", input.name, "', only ", InputNames(model)));
    }
    tensor = json != nullptr ? TensorFromJson(*json, spec->dtype(), cast)
                             : CastTensor(std::get<v1::Tensor>(std::move(input.value)), spec->dtype());
  }
  if (!tensor.ok()) return Annotated(absl::StrCat("input '", input.name, "'"), tensor.status());
  tensor->set_name(input.name);
  return tensor;
}

}  // namespace

absl::StatusOr<std::vector<Input>> ReadInputs(const std::vector<std::string>& specs,
                                              const std::vector<std::string>& objects, std::istream& standard_input) {
  Sources sources(standard_input);
  std::vector<Input> inputs;
  for (const std::string& spec : specs) {
    absl::StatusOr<Input> input = ReadInput(spec, sources);
    if (!input.ok()) return Annotated(absl::StrCat("--input ", ShownSpec(spec)), input.status());
    inputs.push_back(*std::move(input));
  }
  for (const std::string& path : objects) {
    const std::string where = absl::StrCat("--json-input ", path);
    const absl::StatusOr<std::string> text = sources.Read(path);
    if (!text.ok()) return Annotated(where, text.status());
    absl::StatusOr<nlohmann::json> object = ParseJsonFile(*text);
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
                                                      const std::optional<RowRange>& rows, bool cast) {
  std::vector<v1::Tensor> tensors;
  for (Input& input : inputs) {
    absl::StatusOr<v1::Tensor> tensor = ResolveInput(std::move(input), model, cast);
    if (!tensor.ok()) return tensor.status();
    if (rows.has_value()) {
      absl::StatusOr<v1::Tensor> kept = RowsOf(*rows, *tensor);
      if (!kept.ok()) return Annotated(absl::StrCat("input '", tensor->name(), "'"), kept.status());
      tensor = std::move(kept);
    }
    tensors.push_back(*std::move(tensor));
  }
  return tensors;
}

}  // namespace predictd
