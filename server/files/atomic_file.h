#ifndef PREDICTD_SERVER_FILES_ATOMIC_FILE_H_
#define PREDICTD_SERVER_FILES_ATOMIC_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace predictd {

// Puts a file with this content into place in one step, so that a process that waits for it never reads half of it.
// Returns UNAVAILABLE with the cause.
absl::Status WriteFileAtomically(const std::string& file, absl::string_view content);

}  // namespace predictd

#endif  // PREDICTD_SERVER_FILES_ATOMIC_FILE_H_
