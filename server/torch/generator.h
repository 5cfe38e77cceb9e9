#ifndef PREDICTD_SERVER_TORCH_GENERATOR_H_
#define PREDICTD_SERVER_TORCH_GENERATOR_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "server/model/generator_model.h"

namespace predictd {

// Loads a generator, a TorchScript module with these methods, and makes a cache:
//   make_cache(slots: int, max_length: int) -> List[Tensor]
//   forward(tokens: Tensor, positions: Tensor, first_slot: int, cache: List[Tensor]) -> Tensor
//     tokens and positions are int64 [rows, tokens of each row]; the result is float32 [rows, vocabulary], the logits
//     after each row's last token
//   prefill(tokens: Tensor, positions: Tensor, first_slot: int, cache: List[Tensor]) -> None
//     the same without a result
//   copy_slot(cache: List[Tensor], source: int, destination: int, begin: int, end: int) -> None
// A cache that begins as zeros takes memory only as it is written, however it was made, if the first dimension of its
// tensors counts slots. Takes seconds. Models are code, so load them only from a trusted repository. INTERNAL with the
// cause if that fails.
absl::StatusOr<std::unique_ptr<GeneratorModel>> LoadTorchGenerator(const std::filesystem::path& file,
                                                                   const GeneratorLoadOptions& options);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_GENERATOR_H_
