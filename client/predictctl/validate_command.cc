#include "client/predictctl/validate_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "client/predictctl/exit_code.h"

namespace predictd {
namespace {

constexpr char kValidateFooter[] =
    R"(It calls no server, but runs predictd --check-model. The exit status is that of predictd: 0 if it would serve the
model, 1 if not, 2 for options that it does not know.

Examples:
  predictctl validate models/digits
  predictctl validate models/custom -- --operator-library libcustom.so
)";

std::string OwnFolder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

}  // namespace

void AddValidate(CLI::App& app, ValidateArguments& arguments) {
  app.add_option("FOLDER", arguments.folder, "The model's folder, with model.toml and its versions")->required();
  app.add_option("OPTION", arguments.options, "After --: further options of predictd");
  app.add_option("--predictd", arguments.predictd, "The program to run [the one beside predictctl, or in PATH]")
      ->type_name("FILE");
  app.footer(kValidateFooter);
}

std::string PredictdOf(const ValidateArguments& arguments, const std::string& own_folder) {
  if (!arguments.predictd.empty()) return arguments.predictd;
  const std::string beside = own_folder + "/predictd";
  return !own_folder.empty() && access(beside.c_str(), X_OK) == 0 ? beside : "predictd";
}

int RunValidate(const ValidateArguments& arguments, std::ostream& err) {
  std::vector<std::string> words = {PredictdOf(arguments, OwnFolder()), "--check-model=" + arguments.folder};
  words.insert(words.end(), arguments.options.begin(), arguments.options.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv.front(), argv.data());
  err << "predictctl: " << words.front() << " cannot be run: " << std::strerror(errno)
      << " (--predictd names the program)\n";
  return kExitLocalError;
}

}  // namespace predictd
