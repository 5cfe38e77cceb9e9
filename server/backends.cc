#include "server/backends.h"

#include "server/torch/aotinductor.h"
#include "server/torch/generator.h"
#include "server/torch/script.h"

namespace predictd {

absl::Span<const Backend> Backends() {
  static const Backend kBackends[] = {
      {.name = "torchscript",
       .format = "a TorchScript module",
       .file_name = "model.pt",
       // The profiling executor needs two runs of a shape before it has its final code.
       .warm_up_rounds = 3,
       .load = LoadTorchScript,
       .load_generator = LoadTorchGenerator},
      // Compiled models have their final code at once.
      {.name = "aotinductor",
       .format = "an AOTInductor package",
       .file_name = "model.pt2",
       .warm_up_rounds = 1,
       .load = LoadAotInductor},
  };
  return kBackends;
}

}  // namespace predictd
