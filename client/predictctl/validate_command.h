// predictctl validate FOLDER
#ifndef PREDICTD_CLIENT_PREDICTCTL_VALIDATE_COMMAND_H_
#define PREDICTD_CLIENT_PREDICTCTL_VALIDATE_COMMAND_H_

#include <ostream>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace predictd {

// predictctl validate FOLDER
struct ValidateArguments {
  std::string folder = {};
  // Empty: beside predictctl, or else in PATH.
  std::string predictd = {};
  // Further options of predictd.
  std::vector<std::string> options = {};
};

// Adds the command's options and stores their values in the arguments, which must outlive the parsing.
void AddValidate(CLI::App& app, ValidateArguments& arguments);

// What to run: a path, or a name that is looked up in PATH. `own_folder` is that of predictctl.
std::string PredictdOf(const ValidateArguments& arguments, const std::string& own_folder);

// Becomes `predictd --check-model FOLDER`, whose output and exit status are then this process's. Returns only if it
// cannot be run: the exit status, after saying why on `err`.
int RunValidate(const ValidateArguments& arguments, std::ostream& err);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_VALIDATE_COMMAND_H_
