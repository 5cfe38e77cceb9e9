#ifndef PREDICTD_SERVER_FILES_TOML_FILE_H_
#define PREDICTD_SERVER_FILES_TOML_FILE_H_

// Reads every TOML file of the server: model.toml and the file of --config. This is only for sources, because it shows
// the TOML library.

#include <toml++/toml.h>

#include <filesystem>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// Returns INVALID_ARGUMENT, with the line, for text that is not TOML.
absl::StatusOr<toml::table> ParseToml(absl::string_view text);

// The same for a regular file of 1 MiB or less.
absl::StatusOr<toml::table> ReadTomlFile(const std::filesystem::path& file);

}  // namespace predictd

#endif  // PREDICTD_SERVER_FILES_TOML_FILE_H_
