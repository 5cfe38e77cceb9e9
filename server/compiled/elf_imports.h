#ifndef PREDICTD_SERVER_COMPILED_ELF_IMPORTS_H_
#define PREDICTD_SERVER_COMPILED_ELF_IMPORTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// The symbols that a shared library imports. `library` holds the bytes of its 64-bit ELF file. INVALID_ARGUMENT if it
// is no such file, whatever its bytes are.
absl::StatusOr<std::vector<std::string>> ElfImports(absl::string_view library);

}  // namespace predictd

#endif  // PREDICTD_SERVER_COMPILED_ELF_IMPORTS_H_
