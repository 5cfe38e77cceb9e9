#include "server/model/folder_stamp.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "absl/hash/hash.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

// More than any model has. They bound what a mistaken folder, such as a home directory, costs each time.
constexpr int kMostEntries = 10'000;
constexpr int kMostLevels = 8;

// What of a file changes when its content does. Its permissions do not count, nor when they were changed.
uint64_t StampOf(const struct stat& file) {
  return absl::HashOf(file.st_ino, file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec, file.st_mode & S_IFMT);
}

// What editors, file systems and the like put beside what is meant.
bool IsHidden(const std::string& name) {
  return name.starts_with('.') || name.ends_with('~');
}

uint64_t StampBelow(const fs::path& folder, int level, int& entries) {
  std::vector<fs::path> children;
  std::error_code error;
  for (fs::directory_iterator child(folder, error), end; !error && child != end; child.increment(error)) {
    if (++entries > kMostEntries) break;
    if (!IsHidden(child->path().filename().native())) children.push_back(child->path());
  }
  // Folders list their entries in any order.
  std::sort(children.begin(), children.end());
  uint64_t stamp = absl::HashOf(error.value());
  for (const fs::path& child : children) {
    std::error_code ignored;
    const fs::file_status status = level == 0 ? fs::status(child, ignored) : fs::symlink_status(child, ignored);
    const bool descend = level < kMostLevels && fs::is_directory(status);
    const uint64_t own = descend ? StampBelow(child, level + 1, entries) : StampFile(child);
    stamp = absl::HashOf(stamp, child.filename().native(), own);
  }
  return stamp;
}

}  // namespace

uint64_t StampFolder(const fs::path& folder) {
  int entries = 0;
  return StampBelow(folder, 0, entries);
}

uint64_t StampFile(const fs::path& file) {
  struct stat found = {};
  if (stat(file.c_str(), &found) != 0) return absl::HashOf(errno);
  // What a folder says of itself changes with its entries, which are looked at one by one.
  return S_ISDIR(found.st_mode) ? absl::HashOf(found.st_ino) : StampOf(found);
}

}  // namespace predictd
