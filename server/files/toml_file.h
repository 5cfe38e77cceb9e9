#ifndef PREDICTD_SERVER_FILES_TOML_FILE_H_
#define PREDICTD_SERVER_FILES_TOML_FILE_H_

// What reads every TOML file of the server: model.toml and the one of --config. For sources only: shows the TOML
// library.

#include <toml++/toml.h>

#include <filesystem>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// INVALID_ARGUMENT, with the line, for what is no TOML.
absl::StatusOr<toml::table> ParseToml(absl::string_view text);

// The same for a regular file of 1 MiB or less.
absl::StatusOr<toml::table> ReadTomlFile(const std::filesystem::path& file);

}  // namespace predictd

#endif  // PREDICTD_SERVER_FILES_TOML_FILE_H_
