#ifndef PREDICTD_SERVER_TORCH_FILE_H_
#define PREDICTD_SERVER_TORCH_FILE_H_

// Finds out what a file named model.pt really is. Private to the predictd_torch target.

#include <string>

#include "absl/status/status.h"

namespace predictd {

// OK if the file looks like TorchScript. Otherwise FAILED_PRECONDITION says what the file is, as far as that can be
// recognised, and what to do. Throws what LibTorch throws.
absl::Status CheckTorchScriptFile(const std::string& file);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_FILE_H_
