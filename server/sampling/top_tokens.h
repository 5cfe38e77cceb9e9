#ifndef PREDICTD_SERVER_SAMPLING_TOP_TOKENS_H_
#define PREDICTD_SERVER_SAMPLING_TOP_TOKENS_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "server/sampling/logit_kernels.h"
#include "server/sampling/sampling_workspace.h"

// Tokens are ordered by logit, the largest first, and among equal logits by id. Tokens with a logit of -inf are in none
// of the results.

namespace predictd {

// The result of one pass over the logits. The workspace holds their lane maxima.
struct ScannedLogits {
  absl::Span<float> logits;
  float max;
};

// The first `count` tokens in order. Fast as long as `count` is far below a 64th of the vocabulary.
void FindTopTokens(const ScannedLogits& scanned, size_t count, SamplingWorkspace& workspace,
                   std::vector<TokenLogit>& top);

// Keeps a prefix of the order: the shortest one whose weights add up to `target`, or all tokens if none does. Returns a
// threshold; of the logits that it does not exclude, those of tokens that are not kept are set to -inf. `step` is a
// first guess of how far the threshold is below the largest logit.
float KeepTopWeight(const ScannedLogits& scanned, double target, float step, SamplingWorkspace& workspace);

// The same for the first `count` tokens.
float KeepTopCount(const ScannedLogits& scanned, int64_t count, SamplingWorkspace& workspace);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SAMPLING_TOP_TOKENS_H_
