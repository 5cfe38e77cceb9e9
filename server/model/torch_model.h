#ifndef PREDICTD_SERVER_MODEL_TORCH_MODEL_H_
#define PREDICTD_SERVER_MODEL_TORCH_MODEL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/model/model.h"
#include "server/model/repository.h"
#include "server/model/signature.h"

namespace predictd {

// Sets this thread's number of LibTorch intra-op threads. Every thread that runs models calls it once: the setting is
// per thread, and a thread without it uses all cores.
void InitTorchThread(int intra_op_threads);

struct TorchModelOptions {
  // How many threads may run it at once.
  int runners = 1;
  // Whether a package is served whose failure may end the process.
  bool allow_parallel_regions = false;
};

// Reads a TorchScript file or AOTInductor package from disk: seconds, and models are code, so only from a trusted
// repository. INTERNAL with the cause if LibTorch refuses it; FAILED_PRECONDITION if it is not allowed.
absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const VersionEntry& version, const Signature& signature,
                                                      const TorchModelOptions& options);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TORCH_MODEL_H_
