#include "server/config/control_group.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/strings/str_split.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

void AddUpTo(const fs::path& mount, const std::string& group, std::vector<fs::path>& folders) {
  // A group outside of what the container sees is shown as "/../a".
  fs::path folder = fs::path(group).lexically_normal().relative_path();
  while (true) {
    folders.push_back(folder.empty() ? mount : mount / folder);
    if (folder.empty()) return;
    folder = folder.parent_path();
  }
}

}  // namespace

ControlGroupFolders FindControlGroups(const fs::path& root, absl::string_view controller) {
  ControlGroupFolders found;
  const fs::path mount = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  // Lines are like "4:cpu,cpuacct:/a/b", and "0::/a/b" in version 2.
  for (std::string line; std::getline(groups, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() < 3) continue;
    if (parts[0] == "0" && parts[1].empty()) {
      AddUpTo(mount, parts[2], found.version2);
      // Version 2 may be mounted here beside version 1.
      AddUpTo(mount / "unified", parts[2], found.version2);
      continue;
    }
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    if (std::find(controllers.begin(), controllers.end(), controller) == controllers.end()) continue;
    AddUpTo(mount / std::string(controller), parts[2], found.version1);
    // The link with the controller's own name may not have been made.
    if (controllers.size() > 1) AddUpTo(mount / parts[1], parts[2], found.version1);
  }
  return found;
}

}  // namespace predictd
