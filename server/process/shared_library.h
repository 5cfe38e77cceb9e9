#ifndef PREDICTD_SERVER_PROCESS_SHARED_LIBRARY_H_
#define PREDICTD_SERVER_PROCESS_SHARED_LIBRARY_H_

#include <string>

#include "absl/status/status.h"

namespace predictd {

// Loads a shared library for good, and lets later ones use its symbols, as Python's torch.ops.load_library does.
// Whatever it registers when it is loaded (operators, for instance) exists from then on. Returns INVALID_ARGUMENT with
// the loader's words, which name the file.
absl::Status LoadSharedLibrary(const std::string& file);

}  // namespace predictd

#endif  // PREDICTD_SERVER_PROCESS_SHARED_LIBRARY_H_
