#ifndef PREDICTD_SERVER_TORCH_PACKAGE_H_
#define PREDICTD_SERVER_TORCH_PACKAGE_H_

// Reads what is in an AOTInductor package. Private to the predictd_torch target.

#include <filesystem>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/files/private_folder.h"

namespace predictd {

// What the calls in a package's compiled code tell about it, without running it.
struct PackageTraits {
  // Whether a check that throws (of an index, say) may be inside a region that OpenMP runs on several threads. An
  // exception there ends the process: nothing can catch it.
  bool may_end_process = false;
  // Whether nothing in it makes the duration of a run depend on elements.
  bool cost_depends_on_shapes_only = false;
  bool draws_random = false;
};

// INVALID_ARGUMENT if the bytes are not a shared library whose imports can be read.
absl::StatusOr<PackageTraits> InspectLibrary(absl::string_view bytes);

// A package's files, which are needed only until its code is loaded.
struct UnpackedPackage {
  PrivateFolder folder;
  std::filesystem::path library;
  // The file of the weights, unless the library contains them.
  std::optional<std::filesystem::path> weights;
  // The C++ source that the library was compiled from.
  std::string source;
};

// Unpacks the package into a folder of its own in `unpack_dir`. INVALID_ARGUMENT says what the file is if it is not a
// package, FAILED_PRECONDITION what it was compiled for if that is not this machine, and UNAVAILABLE why it cannot be
// unpacked.
absl::StatusOr<UnpackedPackage> UnpackPackage(const std::string& file, const std::filesystem::path& unpack_dir);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_PACKAGE_H_
