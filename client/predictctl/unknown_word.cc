#include "client/predictctl/unknown_word.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/predictctl/closest_name.h"

namespace predictd {
namespace {

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

void AddOptionNames(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
}

std::string Meant(const std::string& closest) {
  return closest.empty() ? "" : absl::StrCat("; did you mean '", closest, "'?");
}

}  // namespace

std::string CommandOf(const CLI::App& app, int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (!absl::StartsWith(word, "-")) return word;
    const CLI::Option* option = app.get_option_no_throw(word);
    if (option != nullptr && option->get_items_expected_max() > 0) ++i;
  }
  return "";
}

bool IsCommand(const CLI::App& app, const std::string& word) {
  const std::vector<std::string> names = CommandNames(app);
  return std::find(names.begin(), names.end(), word) != names.end();
}

std::string MissingCommand(const CLI::App& app) {
  return absl::StrCat("a command is needed: ", absl::StrJoin(CommandNames(app), ", "));
}

std::string UnknownCommand(const CLI::App& app, const std::string& word) {
  const std::vector<std::string> names = CommandNames(app);
  return absl::StrCat("there is no command '", word, "'", Meant(ClosestName(word, names)), "\nThe commands are ",
                      absl::StrJoin(names, ", "), ".");
}

std::string UnknownArgument(const CLI::App& app) {
  const std::vector<std::string> left = app.remaining(/*recurse=*/true);
  if (left.empty()) return "there are arguments that mean nothing";
  const std::string word = left.front().substr(0, left.front().find('='));
  if (!absl::StartsWith(word, "-")) return absl::StrCat("there is an argument too many: '", left.front(), "'");
  std::vector<std::string> names;
  AddOptionNames(app, names);
  for (const CLI::App* command : app.get_subcommands()) AddOptionNames(*command, names);
  return absl::StrCat("there is no option '", word, "'", Meant(ClosestName(word, names)));
}

}  // namespace predictd
