#ifndef PREDICTD_SERVER_CONFIG_OPTION_TABLE_H_
#define PREDICTD_SERVER_CONFIG_OPTION_TABLE_H_

// The options of the server. For the sources of server/config: shows CLI11.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace predictd {

// What the value of an option is, which a TOML file tells by its own types.
enum class OptionKind { kText, kWholeNumber, kSize, kNumber, kDuration };

// Adds options to a command line, with help that shows `--name TYPE [default]`, and reads their values strictly. Errors
// are CLI::ValidationErrors that begin with the option's name.
class OptionTable {
 public:
  explicit OptionTable(CLI::App& app) : app_(app) {}

  // The headline in the help of those added from here on.
  void Group(const std::string& group) { group_ = group; }

  CLI::Option* Add(const std::string& name, const std::string& type, std::string& value, const std::string& help);
  CLI::Option* Add(const std::string& name, const std::string& type, int& value, const std::string& help);
  CLI::Option* Add(const std::string& name, const std::string& type, int64_t& value, const std::string& help);
  CLI::Option* Add(const std::string& name, const std::string& type, double& value, const std::string& help);
  CLI::Option* AddChoice(const std::string& name, std::string& value, const std::set<std::string>& choices,
                         const std::string& help);
  CLI::Option* AddSize(const std::string& name, int64_t& value, int64_t min, int64_t max, const std::string& help);
  CLI::Option* AddDuration(const std::string& name, absl::Duration& value, const std::string& help);

  // By name, without dashes.
  const std::map<std::string, OptionKind>& kinds() const { return kinds_; }

 private:
  template <class T>
  CLI::Option* AddParsed(const std::string& name, OptionKind kind, const std::string& type, T& value,
                         const std::string& expected, std::optional<T> (*parse)(std::string_view),
                         const std::string& shown, const std::string& help);

  CLI::App& app_;
  std::string group_ = "Options";
  std::map<std::string, OptionKind> kinds_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_OPTION_TABLE_H_
