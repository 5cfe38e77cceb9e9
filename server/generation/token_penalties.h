#ifndef PREDICTD_SERVER_GENERATION_TOKEN_PENALTIES_H_
#define PREDICTD_SERVER_GENERATION_TOKEN_PENALTIES_H_

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "absl/types/span.h"
#include "server/generation/sampling_options.h"

namespace predictd {

// Counts the tokens of one sequence and changes their logits as the penalties among its options say. It keeps and does
// nothing if there are none, and else touches only logits of tokens that it has seen.
class TokenPenalties {
 public:
  TokenPenalties(const SamplingOptions& options, absl::Span<const int32_t> prompt);

  // Counts a token of the output.
  void AddOutput(int32_t id);

  // First the repetition penalty, then frequency and presence. All ids that were seen are below logits.size().
  void Apply(absl::Span<float> logits) const;

 private:
  struct SeenToken {
    int32_t id;
    // In the output.
    int64_t count;
  };

  SeenToken& Find(int32_t id);

  bool repeats_;
  bool counts_;
  float repetition_;
  double presence_;
  double frequency_;
  std::vector<SeenToken> seen_;
  // Token id -> place in seen_. Not Abseil's map, which is broken by an allocation that fails.
  std::unordered_map<int32_t, size_t> places_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TOKEN_PENALTIES_H_
