#ifndef PREDICTD_SERVER_MODEL_ELF_IMPORTS_H_
#define PREDICTD_SERVER_MODEL_ELF_IMPORTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// The symbols that a shared library (its file's bytes; ELF of 64 bits) takes from others. INVALID_ARGUMENT if it is
// none, whatever its bytes are.
absl::StatusOr<std::vector<std::string>> ElfImports(absl::string_view library);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_ELF_IMPORTS_H_
