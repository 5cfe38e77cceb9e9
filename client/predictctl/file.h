// Reads whole files.
#ifndef PREDICTD_CLIENT_PREDICTCTL_FILE_H_
#define PREDICTD_CLIENT_PREDICTCTL_FILE_H_

#include <cstddef>
#include <limits>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// The content of a file. If it cannot be read, INVALID_ARGUMENT with the system's reason, without the file's name; the
// same if it has more than `largest` bytes, as a device may that has no end.
absl::StatusOr<std::string> ReadFile(const std::string& path,
                                     std::size_t largest = std::numeric_limits<std::size_t>::max());

// Which format a file has whose content begins like that, and what to do about it, if that is known and it is neither
// JSON nor an .npy file; empty otherwise.
std::string ForeignFormat(absl::string_view content);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_FILE_H_
