#ifndef PREDICTD_TESTS_CONFIG_PARSED_CONFIG_H_
#define PREDICTD_TESTS_CONFIG_PARSED_CONFIG_H_

#include <stdlib.h>

#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "server/config/server_config.h"

namespace predictd {

// What ParseServerConfig makes of flags and environment: the configuration, or what it printed and its exit code.
struct ParsedConfig {
  explicit ParsedConfig(const std::vector<std::string>& flags,
                        const std::map<std::string, std::string>& environment = {}) {
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), /*overwrite=*/1);
    std::vector<const char*> argv = {"predictd"};
    for (const std::string& flag : flags) argv.push_back(flag.c_str());
    std::ostringstream captured_out;
    std::ostringstream captured_err;
    std::streambuf* const real_out = std::cout.rdbuf(captured_out.rdbuf());
    std::streambuf* const real_err = std::cerr.rdbuf(captured_err.rdbuf());
    config = ParseServerConfig(static_cast<int>(argv.size()), argv.data(), exit_code);
    std::cout.rdbuf(real_out);
    std::cerr.rdbuf(real_err);
    out = captured_out.str();
    err = captured_err.str();
    for (const auto& [name, value] : environment) unsetenv(name.c_str());
  }

  std::optional<ServerConfig> config;
  int exit_code = -1;
  std::string out;
  std::string err;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_CONFIG_PARSED_CONFIG_H_
