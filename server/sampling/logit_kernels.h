#ifndef PREDICTD_SERVER_SAMPLING_LOGIT_KERNELS_H_
#define PREDICTD_SERVER_SAMPLING_LOGIT_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "server/kernels/kernel_set.h"

namespace predictd {

// A block is a run of logits whose weights share a sum. It has 16 lanes: a lane is the logits i with the same i % 16.
inline constexpr size_t kLogitLanes = 16;
inline constexpr size_t kLogitBlock = 1024;
constexpr size_t LogitBlocks(size_t size) {
  return (size + kLogitBlock - 1) / kLogitBlock;
}

struct LogitScan {
  // The largest logit, -inf if there is none. NaN counts as none.
  float max;
  bool has_nan;
};

// The count and the weight of some of the logits.
struct LogitShare {
  int64_t count;
  // The sum of their weights.
  double weight;
};

// The passes over the logits of one sequence. All implementations give the same bits: the operations and their order
// are fixed, for sums too. The functions depend only on their arguments; arrays need no alignment.
struct LogitKernels {
  // Also writes the largest logit of each lane of each block, kLogitLanes x LogitBlocks(size) of them.
  LogitScan (*scan)(const float* logits, size_t size, float* lane_maxima);

  // weights = exp((logits - max) * scale), 0 below exp(-87), and their sum for each block. `max` is the largest logit
  // and finite; `scale` is positive and finite. The error is at most 2e-7, apart from the rounding of the argument.
  void (*weigh)(const float* logits, size_t size, float max, float scale, float* weights, double* block_sums);

  // These look at the logits >= threshold, which must be more than -inf.
  LogitShare (*measure)(const float* logits, const float* weights, size_t size, float threshold);
  int64_t (*count)(const float* logits, size_t size, float threshold);

  // Sets to 0 the weights of logits < threshold, and weights < min_weight; computes the sums anew.
  void (*mask)(const float* logits, size_t size, float threshold, float min_weight, float* weights, double* block_sums);

  // Writes the ids with low <= logit < high, in order, and returns how many there are. `ids` has room for size + 1.
  size_t (*collect)(const float* logits, size_t size, float low, float high, int32_t* ids);
};

// Each is in its own file: with registers of 16 bytes for any processor, and with those of AVX2, which exists only on
// x86-64.
extern const LogitKernels kPortableLogitKernels;
extern const LogitKernels kAvx2LogitKernels;

// The fastest that a processor with that set can run; longer registers than those of AVX2 are not used. The functions
// of a set that is not supported must not be called.
const LogitKernels& LogitKernelsFor(KernelSet set);

// Those for BestKernelSet.
const LogitKernels& BestLogitKernels();

}  // namespace predictd

#endif  // PREDICTD_SERVER_SAMPLING_LOGIT_KERNELS_H_
