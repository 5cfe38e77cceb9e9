#ifndef PREDICTD_TESTS_SAMPLING_REFERENCE_SAMPLER_H_
#define PREDICTD_TESTS_SAMPLING_REFERENCE_SAMPLER_H_

#include <cstdint>
#include <vector>

#include "server/sampling/sampling_options.h"

namespace predictd {

// What Sampler's contract says, step by step, in double precision and with full sorts: not quick, but plain.
struct ReferenceStep {
  // After bias and penalties.
  std::vector<double> logits;
  // Logarithms of the softmax of those.
  std::vector<double> logprobs;
  // Of drawing each token; sums up to 1. For temperature 0, all is on one token.
  std::vector<double> probabilities;
};

ReferenceStep ReferenceSample(const std::vector<float>& logits, const SamplingOptions& options,
                              const std::vector<int32_t>& prompt, const std::vector<int32_t>& output);

}  // namespace predictd

#endif  // PREDICTD_TESTS_SAMPLING_REFERENCE_SAMPLER_H_
