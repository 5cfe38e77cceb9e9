#include "server/process/shared_library.h"

#include <dlfcn.h>

#include <exception>

#include "absl/strings/str_cat.h"

namespace predictd {

absl::Status LoadSharedLibrary(const std::string& file) {
  try {
    if (dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return absl::OkStatus();
    const char* const cause = dlerror();
    return absl::InvalidArgumentError(cause != nullptr ? cause : file);
  } catch (const std::exception& error) {
    // Code that registers operators throws, for instance if they are registered twice.
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", error.what()));
  }
}

}  // namespace predictd
