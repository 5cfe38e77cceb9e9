#include "server/config/option_table.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/config/value_parser.h"

namespace predictd {
namespace {

std::optional<std::string> ParseText(std::string_view text) {
  return std::string(text);
}

std::optional<int> ParseInt(std::string_view text) {
  const std::optional<int64_t> value = ParseWholeNumber(text);
  constexpr int64_t kMax = std::numeric_limits<int>::max();
  if (!value.has_value() || *value < -kMax || *value > kMax) return std::nullopt;
  return static_cast<int>(*value);
}

// Writes the size as short as a person would.
std::string ShowSize(int64_t bytes) {
  constexpr const char* kUnits[] = {"", "KiB", "MiB", "GiB"};
  size_t unit = 0;
  for (; unit < 3 && bytes > 0 && bytes % 1024 == 0; ++unit) bytes /= 1024;
  return absl::StrCat(bytes, kUnits[unit]);
}

}  // namespace

template <class T>
CLI::Option* OptionTable::AddParsed(const std::string& name, OptionKind kind, const std::string& type, T& value,
                                    const std::string& expected, std::optional<T> (*parse)(std::string_view),
                                    const std::string& shown, const std::string& help) {
  const auto assign = [name, expected, parse, &value](const std::string& text) {
    const std::optional<T> parsed = parse(text);
    if (!parsed.has_value()) {
      throw CLI::ValidationError("--" + name, absl::StrCat("expected ", expected, ", got '", text, "'"));
    }
    value = *parsed;
  };
  kinds_[name] = kind;
  return app_.add_option_function<std::string>("--" + name, assign, help)
      ->option_text(shown.empty() ? type : absl::StrCat(type, " [", shown, "]"))
      ->group(group_);
}

CLI::Option* OptionTable::Add(const std::string& name, const std::string& type, std::string& value,
                              const std::string& help) {
  return AddParsed<std::string>(name, OptionKind::kText, type, value, "text", ParseText, value, help);
}

CLI::Option* OptionTable::Add(const std::string& name, const std::string& type, int& value, const std::string& help) {
  return AddParsed<int>(name, OptionKind::kWholeNumber, type, value, "a whole number like 8", ParseInt,
                        absl::StrCat(value), help);
}

CLI::Option* OptionTable::Add(const std::string& name, const std::string& type, int64_t& value,
                              const std::string& help) {
  return AddParsed<int64_t>(name, OptionKind::kWholeNumber, type, value, "a whole number like 8", ParseWholeNumber,
                            absl::StrCat(value), help);
}

CLI::Option* OptionTable::Add(const std::string& name, const std::string& type, double& value,
                              const std::string& help) {
  return AddParsed<double>(name, OptionKind::kNumber, type, value, "a number like 0.5", ParseNumber,
                           absl::StrCat(value), help);
}

CLI::Option* OptionTable::AddChoice(const std::string& name, std::string& value, const std::set<std::string>& choices,
                                    const std::string& help) {
  return Add(name, "NAME", value, help)->check(CLI::IsMember(choices));
}

CLI::Option* OptionTable::AddSize(const std::string& name, int64_t& value, int64_t min, int64_t max,
                                  const std::string& help) {
  const auto check = [min, max](const std::string& text) -> std::string {
    const std::optional<int64_t> size = ParseSize(text);
    if (!size.has_value() || (*size >= min && *size <= max)) return "";
    return absl::StrCat("'", text, "' is not in range ", min, " to ", max);
  };
  return AddParsed<int64_t>(name, OptionKind::kSize, "SIZE", value, "bytes like 4096 or 64MiB", ParseSize,
                            ShowSize(value), help)
      ->check(check);
}

CLI::Option* OptionTable::AddFiles(const std::string& name, std::vector<std::string>& value, const std::string& help) {
  const auto parse = [](std::string_view text) -> std::optional<std::vector<std::string>> {
    std::vector<std::string> files = absl::StrSplit(std::string(text), ':', absl::SkipEmpty());
    return files;
  };
  return AddParsed<std::vector<std::string>>(name, OptionKind::kFiles, "FILE", value, "names of files", parse, "",
                                             help + "; may be given several times");
}

CLI::Option* OptionTable::AddDuration(const std::string& name, absl::Duration& value, const std::string& help) {
  return AddParsed<absl::Duration>(name, OptionKind::kDuration, "DURATION", value, "a duration like 250ms or 30s",
                                   ParseLengthOfTime, absl::FormatDuration(value), help);
}

}  // namespace predictd
