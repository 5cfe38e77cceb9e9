#include "server/files/toml_file.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/files/regular_file.h"

namespace predictd {
namespace {

constexpr int64_t kMaxFileBytes = 1 << 20;

}  // namespace

absl::StatusOr<toml::table> ParseToml(absl::string_view text) {
  try {
    return toml::parse(std::string_view(text.data(), text.size()));
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", error.source().begin.line, ": ", std::string(error.description())));
  }
}

absl::StatusOr<toml::table> ReadTomlFile(const std::filesystem::path& file) {
  const absl::StatusOr<std::string> text = ReadRegularFile(file, kMaxFileBytes);
  if (!text.ok()) return text.status();
  return ParseToml(*text);
}

}  // namespace predictd
