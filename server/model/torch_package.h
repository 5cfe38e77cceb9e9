#ifndef PREDICTD_SERVER_MODEL_TORCH_PACKAGE_H_
#define PREDICTD_SERVER_MODEL_TORCH_PACKAGE_H_

#include <string>

#include "absl/status/statusor.h"

namespace predictd {

// What can be told of an AOTInductor package from what its compiled code calls, without running it.
struct PackageTraits {
  // A check that throws (of an index, say) may stand inside a region that OpenMP runs on several threads. What throws
  // there ends the process: nobody can catch it.
  bool may_end_process = false;
  // Nothing in it makes how long a run takes depend on elements.
  bool cost_depends_on_shapes_only = false;
};

// Reads the package's compiled code. INVALID_ARGUMENT if it has none that can be looked at; throws what LibTorch throws
// if it is no package.
absl::StatusOr<PackageTraits> InspectPackage(const std::string& file);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TORCH_PACKAGE_H_
