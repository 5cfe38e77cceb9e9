#ifndef PREDICTD_SERVER_MODEL_GENERATOR_MODEL_H_
#define PREDICTD_SERVER_MODEL_GENERATOR_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace predictd {

// A loaded version of a generator: computes the logits of a sequence's next token. It caches what it computed for
// earlier tokens in slots; a sequence occupies one slot. It hides the model's architecture. Used by one thread at a
// time.
class GeneratorModel {
 public:
  // The score of every token of the vocabulary, for each row. The caller may write to them.
  struct Logits {
    std::shared_ptr<void> owner;
    float* data = nullptr;
    int64_t vocabulary = 0;

    absl::Span<float> Row(int64_t row) const { return {data + row * vocabulary, static_cast<size_t>(vocabulary)}; }
  };

  virtual ~GeneratorModel() = default;

  // Computes `rows` sequences, which occupy the slots from `first_slot` on. `tokens` holds equally many tokens of each
  // sequence, one sequence after the other. Row r's tokens are at positions[r], positions[r] + 1, ..., and all earlier
  // positions of its slot must have been computed. Fills these positions of the cache and returns the logits after each
  // row's last token. Never throws: any failure inside is INTERNAL with the cause (not for callers' eyes).
  virtual absl::StatusOr<Logits> Forward(absl::Span<const int32_t> tokens, absl::Span<const int64_t> positions,
                                         int64_t first_slot) = 0;

  // The same for tokens whose logits are not needed, such as a part of a prompt.
  virtual absl::Status Prefill(absl::Span<const int32_t> tokens, absl::Span<const int64_t> positions,
                               int64_t first_slot) = 0;

  // Copies the positions [begin, end) of the cache from one slot to another. Never throws, as above; if it fails, those
  // positions of the destination must not be used.
  virtual absl::Status CopySlot(int64_t from, int64_t to, int64_t begin, int64_t end) = 0;

  // The contents of these slots are no longer needed: their memory may go back to the system until they are used again.
  virtual void ReleaseSlots(int64_t /*first*/, int64_t /*count*/) {}
};

struct GeneratorLoadOptions {
  int64_t slots = 1;
  int64_t max_length = 0;
  int64_t vocabulary = 0;
  // The number of threads that a step may use.
  int threads = 1;
  // Called before the cache is created, with the bytes of a full slot; an error ends the loading.
  std::function<absl::Status(int64_t slot_bytes)> admit = nullptr;
};

// Loads a generator from its file. Takes seconds; INTERNAL with the cause if that fails.
using GeneratorLoadFunction = std::function<absl::StatusOr<std::unique_ptr<GeneratorModel>>(
    const std::filesystem::path& file, const GeneratorLoadOptions& options)>;

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_GENERATOR_MODEL_H_
