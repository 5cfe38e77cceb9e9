#ifndef PREDICTD_SERVER_FILES_PRIVATE_FOLDER_H_
#define PREDICTD_SERVER_FILES_PRIVATE_FOLDER_H_

#include <filesystem>

#include "absl/status/statusor.h"

namespace predictd {

// A new folder that only this process's user can enter; it is removed with the object. A process that is killed leaves
// it behind. The folder is locked while its process lives, so that a later process can tell which folders are left
// behind.
class PrivateFolder {
 public:
  // Creates a folder in `parent`. Returns UNAVAILABLE, with the system's words, if none can be made there.
  static absl::StatusOr<PrivateFolder> Create(const std::filesystem::path& parent);

  PrivateFolder(PrivateFolder&& other) noexcept;
  PrivateFolder& operator=(PrivateFolder&& other) noexcept;
  ~PrivateFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  PrivateFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::filesystem::path path_;
  // The descriptor of the folder; -1 if it has been moved away.
  int lock_ = -1;
};

// Removes the folders in `parent` that dead processes of this user have left, and returns how many. The folders of
// living processes stay.
int RemoveLeftFolders(const std::filesystem::path& parent);

}  // namespace predictd

#endif  // PREDICTD_SERVER_FILES_PRIVATE_FOLDER_H_
