#ifndef PREDICTD_SERVER_CONFIG_CONTROL_GROUP_H_
#define PREDICTD_SERVER_CONFIG_CONTROL_GROUP_H_

#include <filesystem>
#include <vector>

#include "absl/strings/string_view.h"

namespace predictd {

// The folders in which the files of this process's control groups may lie: first those of its own group, then those of
// the groups around it, up to where they are mounted. The process is limited by the least of what all these files say.
// A folder need not exist: inside a container the path is often that of the host, while the own group is mounted as the
// root.
struct ControlGroupFolders {
  // The folders of a version 1 controller; empty if there is none.
  std::vector<std::filesystem::path> version1;
  std::vector<std::filesystem::path> version2;
};

// `controller` is "memory" or "cpu"; `root` stands for "/".
ControlGroupFolders FindControlGroups(const std::filesystem::path& root, absl::string_view controller);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_CONTROL_GROUP_H_
