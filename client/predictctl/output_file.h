// Outputs that are saved as .npy files.
#ifndef PREDICTD_CLIENT_PREDICTCTL_OUTPUT_FILE_H_
#define PREDICTD_CLIENT_PREDICTCTL_OUTPUT_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// Where to save which output.
struct OutputFile {
  std::string output;  // Empty: the only one.
  std::string path;
};

// Reads "[NAME=]FILE.npy". INVALID_ARGUMENT for a file of another kind.
absl::StatusOr<OutputFile> ParseOutputFile(const std::string& text);

// Writes the files, each of them completely or not at all, unless it is a pipe or a device. The error for an output
// that is not among `outputs`, an output that a file cannot hold, or a failed write names the file.
absl::Status SaveOutputs(const std::vector<OutputFile>& files, const std::vector<v1::Tensor>& outputs);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_OUTPUT_FILE_H_
