#ifndef PREDICTD_SERVER_FILES_REGULAR_FILE_H_
#define PREDICTD_SERVER_FILES_REGULAR_FILE_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace predictd {

// Reads files whose names operators chose. A pipe or a device in a file's place would be waited for without end, or do
// something when it is opened, so only regular files are, and of no more bytes than the reader can want. Messages tell
// the cause, "cannot be read: Permission denied", and leave the name to the caller.

// OK for a regular file, or a link to one. NOT_FOUND if there is none, PERMISSION_DENIED, or INVALID_ARGUMENT.
absl::Status CheckRegularFile(const std::filesystem::path& path);

// The whole file. Beside CheckRegularFile's errors INVALID_ARGUMENT for one of more than `max_bytes`.
absl::StatusOr<std::string> ReadRegularFile(const std::filesystem::path& path, int64_t max_bytes);

// OK for a folder that can be listed and entered; errors as above.
absl::Status CheckFolder(const std::filesystem::path& path);

}  // namespace predictd

#endif  // PREDICTD_SERVER_FILES_REGULAR_FILE_H_
