#ifndef PREDICTD_SERVER_COMPILED_TARGET_H_
#define PREDICTD_SERVER_COMPILED_TARGET_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace predictd {

// The machine that runs compiled code.
struct Machine {
  std::string platform;
  std::string architecture;
  // The features of its processors by Linux's names: "avx512_vnni". Empty if they are not known.
  std::set<std::string> features;
};

// Asks the system. Reads a file.
const Machine& ThisMachine();

// Whether a package's code, compiled for the target in its metadata (JSON), can run on that machine's CPU.
// FAILED_PRECONDITION says what it was compiled for and what the machine has.
absl::Status CheckCompiledTarget(absl::string_view metadata, const Machine& machine);

}  // namespace predictd

#endif  // PREDICTD_SERVER_COMPILED_TARGET_H_
