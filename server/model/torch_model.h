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

// Reads a TorchScript file or AOTInductor package from disk: seconds, and models are code, so only from a trusted
// repository. `runners` is how many threads may run it at once. INTERNAL with the cause if LibTorch refuses it.
absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const VersionEntry& version, const Signature& signature,
                                                      int runners);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TORCH_MODEL_H_
