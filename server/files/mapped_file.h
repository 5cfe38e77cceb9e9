#ifndef PREDICTD_SERVER_FILES_MAPPED_FILE_H_
#define PREDICTD_SERVER_FILES_MAPPED_FILE_H_

#include <cstddef>
#include <filesystem>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// The bytes of a file, which are read from disk when they are looked at, so that of a large file only the parts of
// interest take memory. The file must be one of our own that nobody truncates meanwhile.
class MappedFile {
 public:
  // Returns UNAVAILABLE, with the system's words.
  static absl::StatusOr<MappedFile> Open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();

  absl::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  MappedFile(void* data, size_t size) : data_(data), size_(size) {}

  void* data_;
  size_t size_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_FILES_MAPPED_FILE_H_
