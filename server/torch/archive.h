#ifndef PREDICTD_SERVER_TORCH_ARCHIVE_H_
#define PREDICTD_SERVER_TORCH_ARCHIVE_H_

// Opens the zip archives that PyTorch writes: modules, programs, packages and others. Private to the predictd_torch
// target.

#include <caffe2/serialize/inline_container.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace predictd {

// Opens an archive. INVALID_ARGUMENT says what the file is instead, and what to do about it.
absl::StatusOr<std::unique_ptr<caffe2::serialize::PyTorchStreamReader>> OpenTorchArchive(const std::string& file);

// Why an archive with these records is not an AOTInductor package: what it is instead, and what to do about it.
std::string WhyNoPackage(const std::vector<std::string>& records);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_ARCHIVE_H_
