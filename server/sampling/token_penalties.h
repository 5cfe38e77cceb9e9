#ifndef PREDICTD_SERVER_SAMPLING_TOKEN_PENALTIES_H_
#define PREDICTD_SERVER_SAMPLING_TOKEN_PENALTIES_H_

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "absl/types/span.h"
#include "server/sampling/sampling_options.h"

namespace predictd {

// Counts the tokens of one sequence and changes their logits according to the penalties in its options. Without
// penalties it stores and does nothing; otherwise it touches only the logits of tokens that it has seen.
class TokenPenalties {
 public:
  TokenPenalties(const SamplingOptions& options, absl::Span<const int32_t> prompt);

  // Counts a token of the output.
  void AddOutput(int32_t id);

  // Applies first the repetition penalty, then frequency and presence. All ids that were seen must be below
  // logits.size().
  void Apply(absl::Span<float> logits) const;

 private:
  struct SeenToken {
    int32_t id;
    // How often the token is in the output.
    int64_t count;
  };

  SeenToken& Find(int32_t id);

  bool repeats_;
  bool counts_;
  float repetition_;
  double presence_;
  double frequency_;
  std::vector<SeenToken> seen_;
  // Maps a token id to its place in seen_. This is not Abseil's map, because a failed allocation leaves that one
  // broken.
  std::unordered_map<int32_t, size_t> places_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SAMPLING_TOKEN_PENALTIES_H_
