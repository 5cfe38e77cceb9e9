#ifndef PREDICTD_SERVER_CONFIG_OPTION_TABLE_H_
#define PREDICTD_SERVER_CONFIG_OPTION_TABLE_H_

// The options of the server. This is only for the sources of server/config, because it shows CLI11.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace predictd {

// The kind of an option's value, by which a value of a TOML file, which has types of its own, is checked.
enum class OptionKind { kText, kWholeNumber, kSize, kNumber, kDuration, kFiles };

// Adds options to a command line, with help that shows `--name TYPE [default]`, and reads their values strictly. Errors
// are CLI::ValidationErrors that begin with the option's name.
class OptionTable {
 public:
  explicit OptionTable(CLI::App& app) : app_(app) {}

  // Sets the headline under which the help lists the options that are added from here on.
  void Group(const std::string& group) { group_ = group; }

  CLI::Option* Add(const std::string& name, const std::string& type, std::string& value, const std::string& help);
  CLI::Option* Add(const std::string& name, const std::string& type, int& value, const std::string& help);
  CLI::Option* Add(const std::string& name, const std::string& type, int64_t& value, const std::string& help);
  CLI::Option* Add(const std::string& name, const std::string& type, double& value, const std::string& help);
  CLI::Option* AddChoice(const std::string& name, std::string& value, const std::set<std::string>& choices,
                         const std::string& help);
  CLI::Option* AddSize(const std::string& name, int64_t& value, int64_t min, int64_t max, const std::string& help);
  // Adds an option that may be given several times. One value may name several files, with colons between them as in
  // PATH.
  CLI::Option* AddFiles(const std::string& name, std::vector<std::string>& value, const std::string& help);
  CLI::Option* AddDuration(const std::string& name, absl::Duration& value, const std::string& help);

  // The kinds of the options by their names, without dashes.
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
