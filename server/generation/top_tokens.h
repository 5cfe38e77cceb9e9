#ifndef PREDICTD_SERVER_GENERATION_TOP_TOKENS_H_
#define PREDICTD_SERVER_GENERATION_TOP_TOKENS_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "server/generation/logit_kernels.h"
#include "server/generation/sampling_workspace.h"

// The order of the tokens is by logit, the largest first, and among equal logits by id. Tokens with a logit of -inf are
// in none of the results.

namespace predictd {

// What one pass over the logits has found. The workspace holds its lane maxima.
struct ScannedLogits {
  absl::Span<float> logits;
  float max;
};

// The first `count` tokens in order. Quick as long as `count` is far below a 64th of the vocabulary.
void FindTopTokens(const ScannedLogits& scanned, size_t count, SamplingWorkspace& workspace,
                   std::vector<TokenLogit>& top);

// A prefix of the order is kept: the shortest whose weights sum up to `target`, or all if none does. Returns a
// threshold; of the logits that it does not exclude, those of tokens not kept are set to -inf. `step` is a first guess
// of how far below the largest logit that is.
float KeepTopWeight(const ScannedLogits& scanned, double target, float step, SamplingWorkspace& workspace);

// The same for the first `count` tokens.
float KeepTopCount(const ScannedLogits& scanned, int64_t count, SamplingWorkspace& workspace);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TOP_TOKENS_H_
