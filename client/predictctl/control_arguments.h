// What those commands of predictctl were asked to do that change what is served.
#ifndef PREDICTD_CLIENT_PREDICTCTL_CONTROL_ARGUMENTS_H_
#define PREDICTD_CLIENT_PREDICTCTL_CONTROL_ARGUMENTS_H_

#include <string>

#include "predictd/v1/model_service.pb.h"

namespace CLI {
class App;
}

namespace predictd {

// predictctl load, unload or reload MODEL
struct ControlArguments {
  enum class Change { kLoad, kUnload, kReload };
  Change change = Change::kLoad;
  std::string model = {};
};

// predictctl split MODEL [VERSION=WEIGHT ...]
struct SplitArguments {
  std::string model = {};
  // What is to hold. Without shares, what holds is only shown.
  v1::TrafficSplit traffic = {};
  // Whether model.toml is to hold instead.
  bool reset = false;
};

// These add the commands' options and store their values in the arguments, which must outlive the parsing.
void AddControl(CLI::App& app, ControlArguments& arguments);
void AddSplit(CLI::App& app, SplitArguments& arguments);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CONTROL_ARGUMENTS_H_
