#include "server/config/option_sources.h"

#include <algorithm>
#include <array>
#include <optional>
#include <sstream>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "server/config/service_link.h"
#include "server/files/toml_file.h"
#include "server/text/closest_name.h"

namespace predictd {
namespace {

using Settings = std::map<std::string, std::string>;
using Options = std::map<std::string, OptionKind>;

constexpr std::string_view kPrefix = "PREDICTD_";

// Variables that are no options: that of the server's operators (KERNEL_SET), and those of the programs beside it,
// which are predictctl, the exporter, scripts and tests.
constexpr std::array<std::string_view, 8> kOthersVariables = {"ADDRESS",    "BINARY", "BUILD_DIR",   "KERNELS",
                                                              "KERNEL_SET", "ROOT",   "TEST_MODELS", "TEST_SEED"};

std::string DidYouMean(const std::string& name, const Options& options, std::string_view before) {
  std::vector<std::string> names;
  for (const auto& [option, kind] : options) names.push_back(option);
  const std::string closest = ClosestName(name, names);
  return closest.empty() ? "" : absl::StrCat(" (did you mean ", std::string(before), closest, "?)");
}

std::string VariableName(const std::string& option) {
  return std::string(kPrefix) + absl::AsciiStrToUpper(absl::StrReplaceAll(option, {{"-", "_"}}));
}

absl::Status ReadCommandLine(const Options& options, const std::vector<std::string>& arguments, Settings& settings) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const size_t equals = argument.find('=');
    if (argument.rfind("--", 0) != 0 || argument.size() == 2) {
      return absl::InvalidArgumentError(absl::StrCat("unexpected argument '", argument, "': options are --name=value"));
    }
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (!options.contains(name)) {
      return absl::InvalidArgumentError(absl::StrCat("unknown option --", name, DidYouMean(name, options, "--")));
    }
    std::string value;
    if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (i + 1 < arguments.size() && arguments[i + 1].rfind("--", 0) != 0) {
      value = arguments[++i];
    } else {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": the value is missing"));
    }
    const auto [setting, is_new] = settings.emplace(name, value);
    if (is_new) continue;
    if (options.at(name) != OptionKind::kFiles) {
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": given twice"));
    }
    absl::StrAppend(&setting->second, ":", value);
  }
  return absl::OkStatus();
}

absl::Status ReadEnvironment(const Options& options, const char* const* environment, Settings& settings) {
  std::map<std::string, std::string> names;
  for (const auto& [option, kind] : options) names[VariableName(option)] = option;
  for (; *environment != nullptr; ++environment) {
    const std::string_view variable = *environment;
    if (!variable.starts_with(kPrefix)) continue;
    const size_t equals = std::min(variable.find('='), variable.size());
    const std::string name(variable.substr(0, equals));
    const std::string value(variable.substr(std::min(equals + 1, variable.size())));
    if (const auto known = names.find(name); known != names.end()) {
      settings.emplace(known->second, value);
      continue;
    }
    const std::string_view rest = std::string_view(name).substr(kPrefix.size());
    const bool others = std::find(kOthersVariables.begin(), kOthersVariables.end(), rest) != kOthersVariables.end();
    if (others || IsServiceLink(name, value)) continue;
    std::vector<std::string> variables;
    for (const auto& [known, option] : names) variables.push_back(known);
    const std::string closest = ClosestName(name, variables);
    return absl::InvalidArgumentError(absl::StrCat(
        "unknown environment variable ", name, closest.empty() ? "" : absl::StrCat(" (did you mean ", closest, "?)")));
  }
  return absl::OkStatus();
}

std::string Show(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  std::ostringstream out;
  node.visit([&out](const auto& value) { out << value; });
  return out.str();
}

std::optional<std::string> JoinFiles(const toml::array& list) {
  std::string files;
  for (const toml::node& entry : list) {
    const auto file = entry.value_exact<std::string>();
    if (!file.has_value()) return std::nullopt;
    absl::StrAppend(&files, files.empty() ? "" : ":", *file);
  }
  return files;
}

// Returns the value as a flag would have it, or nullopt if it is of another kind.
std::optional<std::string> ToText(const toml::node& node, OptionKind kind) {
  auto text = node.value_exact<std::string>();
  const auto number = node.value_exact<int64_t>();
  switch (kind) {
    case OptionKind::kText:
    case OptionKind::kDuration:
      return text;
    case OptionKind::kFiles:
      return text.has_value() || !node.is_array() ? text : JoinFiles(*node.as_array());
    case OptionKind::kSize:
      if (text.has_value()) return text;
      [[fallthrough]];
    case OptionKind::kWholeNumber:
      if (number.has_value()) return absl::StrCat(*number);
      return std::nullopt;
    case OptionKind::kNumber:
      if (number.has_value()) return absl::StrCat(*number);
      if (const auto real = node.value_exact<double>()) return absl::StrCat(*real);
      return std::nullopt;
  }
  return std::nullopt;
}

std::string_view KindInToml(OptionKind kind) {
  switch (kind) {
    case OptionKind::kText:
      return "text in quotes";
    case OptionKind::kFiles:
      return "names of files in quotes, as a list or with colons between";
    case OptionKind::kWholeNumber:
      return "a whole number without quotes";
    case OptionKind::kSize:
      return "bytes, or a size in quotes like \"64MiB\"";
    case OptionKind::kNumber:
      return "a number without quotes";
    case OptionKind::kDuration:
      return "a duration in quotes like \"250ms\" or \"30s\"";
  }
  return "";
}

absl::Status ReadFile(const Options& options, const std::string& file, Settings& settings) {
  const absl::StatusOr<toml::table> table = ReadTomlFile(file);
  if (!table.ok()) return absl::InvalidArgumentError(absl::StrCat(file, ": ", table.status().message()));
  for (const auto& [key, node] : *table) {
    const std::string name(key.str());
    const auto option = options.find(name);
    if (option == options.end() || name == kConfigOption) {
      return absl::InvalidArgumentError(absl::StrCat(file, ": unknown key '", name, "'", DidYouMean(name, options, ""),
                                                     "; predictd --help lists the keys"));
    }
    const std::optional<std::string> value = ToText(node, option->second);
    if (!value.has_value() || value->find('\0') != std::string::npos) {
      const std::string_view expected = KindInToml(option->second);
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": --", name, ": expected ", std::string(expected), ", got '", Show(node), "'"));
    }
    settings.emplace(name, *value);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> GatherOptions(const std::map<std::string, OptionKind>& options,
                                                                 const std::vector<std::string>& arguments,
                                                                 const char* const* environment) {
  // The first source that sets an option wins.
  Settings settings;
  if (absl::Status status = ReadCommandLine(options, arguments, settings); !status.ok()) return status;
  if (absl::Status status = ReadEnvironment(options, environment, settings); !status.ok()) return status;
  if (const auto config = settings.find(kConfigOption); config != settings.end() && !config->second.empty()) {
    if (absl::Status status = ReadFile(options, config->second, settings); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--config: ", status.message()));
    }
  }
  return settings;
}

}  // namespace predictd
