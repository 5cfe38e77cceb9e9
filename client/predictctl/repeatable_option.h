// Options that may be given several times.
#ifndef PREDICTD_CLIENT_PREDICTCTL_REPEATABLE_OPTION_H_
#define PREDICTD_CLIENT_PREDICTCTL_REPEATABLE_OPTION_H_

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace predictd {

// Adds an option that takes text: `values` gets one element, unchanged, for each time that it is given. They must
// outlive the parsing.
void AddRepeatable(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                   const std::string& placeholder, const std::string& description);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_REPEATABLE_OPTION_H_
