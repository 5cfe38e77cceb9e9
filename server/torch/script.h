#ifndef PREDICTD_SERVER_TORCH_SCRIPT_H_
#define PREDICTD_SERVER_TORCH_SCRIPT_H_

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "server/model/backend.h"

namespace predictd {

// Loads a TorchScript file. Takes seconds. Models are code, so load them only from a trusted repository. INTERNAL with
// the cause if LibTorch refuses the file; FAILED_PRECONDITION if the file is not allowed.
absl::StatusOr<std::unique_ptr<Model>> LoadTorchScript(const std::filesystem::path& file, const ModelConfig& config,
                                                       const ModelLoadOptions& options);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_SCRIPT_H_
