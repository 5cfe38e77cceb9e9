#ifndef PREDICTD_SERVER_MODEL_TORCH_GENERATOR_H_
#define PREDICTD_SERVER_MODEL_TORCH_GENERATOR_H_

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "server/model/generator_model.h"

namespace predictd {

// Reads a generator: a TorchScript module with
//   make_cache(slots: int, max_length: int) -> List[Tensor]
//   forward(tokens: Tensor, positions: Tensor, first_slot: int, cache: List[Tensor]) -> Tensor
//     tokens and positions are int64 [rows, tokens of each]; the result is float32 [rows, vocabulary], of the last ones
//   prefill(tokens: Tensor, positions: Tensor, first_slot: int, cache: List[Tensor]) -> None
//     the same without a result
//   copy_slot(cache: List[Tensor], source: int, destination: int, begin: int, end: int) -> None
// and makes a cache of so many slots of so many positions. What a step of it computes uses `threads` threads. Takes
// seconds; models are code, so only from a trusted repository. INTERNAL with the cause if something is wrong with it.
absl::StatusOr<std::unique_ptr<GeneratorModel>> LoadTorchGenerator(const std::filesystem::path& file, int64_t slots,
                                                                   int64_t max_length, int64_t vocabulary, int threads);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TORCH_GENERATOR_H_
