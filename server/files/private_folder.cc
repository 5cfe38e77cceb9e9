#include "server/files/private_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "predictd-private-";
// A process that removes folders which were left behind may take a new folder for one of them, but not so often.
constexpr int kTries = 10;

// Opens the folder and locks it. Returns -1 if another process has it, if it is gone or, with `must_lock`, if the file
// system has no locks.
int OpenLocked(const fs::path& path, bool must_lock) {
  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return -1;
  struct stat status {};
  const bool locked = flock(folder, LOCK_EX | LOCK_NB) == 0 || (!must_lock && errno != EWOULDBLOCK);
  if (locked && fstat(folder, &status) == 0 && status.st_nlink > 0 && status.st_uid == geteuid()) return folder;
  close(folder);
  return -1;
}

}  // namespace

absl::StatusOr<PrivateFolder> PrivateFolder::Create(const fs::path& parent) {
  for (int i = 0; i < kTries; ++i) {
    std::string path = (parent / absl::StrCat(kPrefix, "XXXXXX")).string();
    if (mkdtemp(path.data()) == nullptr) {
      return absl::UnavailableError(std::error_code(errno, std::generic_category()).message());
    }
    if (const int lock = OpenLocked(path, /*must_lock=*/false); lock >= 0) return PrivateFolder(path, lock);
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  return absl::UnavailableError("folders that are made there cannot be locked");
}

PrivateFolder::PrivateFolder(PrivateFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

PrivateFolder& PrivateFolder::operator=(PrivateFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

PrivateFolder::~PrivateFolder() {
  if (lock_ < 0) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  close(lock_);
}

int RemoveLeftFolders(const fs::path& parent) {
  int removed = 0;
  std::error_code error;
  for (fs::directory_iterator child(parent, error), end; !error && child != end; child.increment(error)) {
    const fs::path& path = child->path();
    if (!absl::StartsWith(path.filename().string(), kPrefix)) continue;
    const int lock = OpenLocked(path, /*must_lock=*/true);
    if (lock < 0) continue;
    std::error_code failed;
    fs::remove_all(path, failed);
    if (!failed) ++removed;
    close(lock);
  }
  return removed;
}

}  // namespace predictd
