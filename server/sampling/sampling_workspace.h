#ifndef PREDICTD_SERVER_SAMPLING_SAMPLING_WORKSPACE_H_
#define PREDICTD_SERVER_SAMPLING_SAMPLING_WORKSPACE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/sampling/logit_kernels.h"

namespace predictd {

struct TokenLogit {
  int32_t id;
  float logit;
};

// Memory that is needed only while a token is sampled: about 9 bytes for each logit. Sequences that are sampled one
// after the other can share one workspace, and then find it in the processor's cache. Not thread-safe.
struct SamplingWorkspace {
  // Makes room for this many logits.
  void Resize(size_t size) {
    if (weights.size() >= size) return;
    weights.resize(size);
    lane_maxima.resize(kLogitLanes * LogitBlocks(size));
    block_sums.resize(LogitBlocks(size));
    ids.resize(size + 1);
  }

  std::vector<float> weights;
  std::vector<float> lane_maxima;
  std::vector<double> block_sums;
  std::vector<int32_t> ids;
  // These hold a part of the tokens.
  std::vector<int32_t> some_ids;
  std::vector<float> some_logits;
  std::vector<float> some_weights;
  std::vector<TokenLogit> candidates;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SAMPLING_SAMPLING_WORKSPACE_H_
