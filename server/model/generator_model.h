#ifndef PREDICTD_SERVER_MODEL_GENERATOR_MODEL_H_
#define PREDICTD_SERVER_MODEL_GENERATOR_MODEL_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace predictd {

// A loaded version of a generator: computes what the next token of a sequence may be. It has a cache of what it
// computed for earlier tokens, in slots; a sequence occupies one. Which architecture it is nobody else knows. Used by
// one thread at a time.
class GeneratorModel {
 public:
  // Scores of every token of the vocabulary, for each row. The caller may write to them.
  struct Logits {
    std::shared_ptr<void> owner;
    float* data = nullptr;
    int64_t vocabulary = 0;

    absl::Span<float> Row(int64_t row) const { return {data + row * vocabulary, static_cast<size_t>(vocabulary)}; }
  };

  virtual ~GeneratorModel() = default;

  // Computes `rows` sequences that lie in the slots from `first_slot` on. `tokens` holds as many tokens of each, one
  // after the other; row r's are at positions[r], positions[r] + 1, ..., and all earlier positions of its slot have
  // been computed. Fills these positions of the cache and returns the logits after each row's last token. Never throws:
  // whatever goes wrong inside is INTERNAL with the cause (not for callers' eyes).
  virtual absl::StatusOr<Logits> Forward(absl::Span<const int32_t> tokens, absl::Span<const int64_t> positions,
                                         int64_t first_slot) = 0;

  // The same for tokens whose logits nobody wants, such as a part of a prompt.
  virtual absl::Status Prefill(absl::Span<const int32_t> tokens, absl::Span<const int64_t> positions,
                               int64_t first_slot) = 0;

  // Copies the positions [begin, end) of the cache from one slot to another.
  virtual absl::Status CopySlot(int64_t from, int64_t to, int64_t begin, int64_t end) = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_GENERATOR_MODEL_H_
