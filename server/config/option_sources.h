#ifndef PREDICTD_SERVER_CONFIG_OPTION_SOURCES_H_
#define PREDICTD_SERVER_CONFIG_OPTION_SOURCES_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config/option_table.h"

namespace predictd {

// The option that names the TOML file.
inline constexpr char kConfigOption[] = "config";

// Returns the value of each option that is set: by the command line, else by the environment (`environment` is like
// environ), else by the file that either of them names. Names are without dashes, and values are as a flag would have
// them. Returns INVALID_ARGUMENT if any of the three names something that is no option, and for a file that cannot be
// read or has a value of another kind.
absl::StatusOr<std::map<std::string, std::string>> GatherOptions(const std::map<std::string, OptionKind>& options,
                                                                 const std::vector<std::string>& arguments,
                                                                 const char* const* environment);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_OPTION_SOURCES_H_
