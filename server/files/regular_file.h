#ifndef PREDICTD_SERVER_FILES_REGULAR_FILE_H_
#define PREDICTD_SERVER_FILES_REGULAR_FILE_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace predictd {

// These read files whose names operators chose. A pipe or a device in a file's place could block for ever, or act when
// it is opened, so only regular files are read, and no more bytes of them than the reader can want. Messages tell the
// cause, such as "cannot be read: Permission denied", and leave the name to the caller.

// Returns OK for a regular file or a link to one. Otherwise returns NOT_FOUND if there is none, PERMISSION_DENIED, or
// INVALID_ARGUMENT.
absl::Status CheckRegularFile(const std::filesystem::path& path);

// Reads the whole file. Besides CheckRegularFile's errors, returns INVALID_ARGUMENT for a file of more than
// `max_bytes`.
absl::StatusOr<std::string> ReadRegularFile(const std::filesystem::path& path, int64_t max_bytes);

// Returns OK for a folder that can be listed and entered, and otherwise errors as above.
absl::Status CheckFolder(const std::filesystem::path& path);

}  // namespace predictd

#endif  // PREDICTD_SERVER_FILES_REGULAR_FILE_H_
