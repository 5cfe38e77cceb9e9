#ifndef PREDICTD_SERVER_GENERATION_LOGIT_KERNELS_H_
#define PREDICTD_SERVER_GENERATION_LOGIT_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace predictd {

// A block is how many logits share a sum, and has 16 lanes: its logits i with the same i % 16.
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

// What logits come to.
struct LogitShare {
  int64_t count;
  // Of all their weights.
  double weight;
};

// The passes over the logits of one sequence. All give the same bits whatever they were compiled for: the operations
// and their order are fixed, for sums too. Functions of their arguments; arrays need no alignment.
struct LogitKernels {
  // Also gives the largest logit of each lane of each block, kLogitLanes x LogitBlocks(size).
  LogitScan (*scan)(const float* logits, size_t size, float* lane_maxima);

  // weights = exp((logits - max) * scale), 0 below exp(-87), and their sum for each block. `max` is the largest logit
  // and finite; `scale` is positive and finite. Off by 2e-7 at most, beside the rounding of the argument.
  void (*weigh)(const float* logits, size_t size, float max, float scale, float* weights, double* block_sums);

  // Of logits >= threshold, which is more than -inf.
  LogitShare (*measure)(const float* logits, const float* weights, size_t size, float threshold);
  int64_t (*count)(const float* logits, size_t size, float threshold);

  // Sets to 0 the weights of logits < threshold, and weights < min_weight; sums anew.
  void (*mask)(const float* logits, size_t size, float threshold, float min_weight, float* weights, double* block_sums);

  // The ids with low <= logit < high, in order; returns how many. `ids` has room for size + 1.
  size_t (*collect)(const float* logits, size_t size, float low, float high, int32_t* ids);
};

// Each in a file of its own; the second is only there on x86-64.
extern const LogitKernels kBaselineLogitKernels;
extern const LogitKernels kAvx2LogitKernels;

enum class InstructionSet {
  // What the compiler may take for granted, with registers of 16 bytes.
  kBaseline,
  kAvx2,
};

bool IsSupported(InstructionSet set);

// Only those that are supported may be called.
const LogitKernels& LogitKernelsFor(InstructionSet set);

// The fastest that this processor supports.
const LogitKernels& BestLogitKernels();

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_LOGIT_KERNELS_H_
