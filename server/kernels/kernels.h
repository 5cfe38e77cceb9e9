#ifndef PREDICTD_SERVER_KERNELS_KERNELS_H_
#define PREDICTD_SERVER_KERNELS_KERNELS_H_

#include <cstdint>

#include "server/kernels/activations.h"
#include "server/kernels/kernel_set.h"
#include "server/kernels/packed_matrix.h"

namespace predictd {

// The range [begin, end).
struct Span {
  int64_t begin = 0;
  int64_t end = 0;
};

enum class CacheElement { kF16, kF32 };

// The keys and values of one key head of one slot:
//   keys    [positions / 16, width, 16]: one element of 16 positions is a vector, so a score needs no sum across lanes
//   values  [positions, width]
struct HeadCache {
  void* keys = nullptr;
  void* values = nullptr;
  CacheElement element = CacheElement::kF16;
  // The width of a head: a multiple of 32.
  int64_t width = 0;

  static constexpr int64_t kBlock = 16;
};

// The arithmetic of a decoder, compiled for one instruction set. A row of a result depends on nothing but the same row
// of the arguments: sums have a fixed order. Instruction sets differ only in rounding. The functions use no memory but
// their arguments': any number of threads may call them at once, even on parts of one result. Arrays need no alignment;
// counts are multiples of 32 unless stated otherwise.
struct Kernels {
  // y = x / sqrt(mean(x^2) + epsilon) * factors. y may be x.
  void (*normalize)(const float* x, const float* factors, float epsilon, int64_t count, float* y);

  // Stores numbers in a row of activations, from column `first` on.
  void (*put)(const float* x, int64_t count, int64_t row, int64_t first, const Activations& to);

  // For every i in these panels, sets y[row, i] to the product of row `row` of x (of `rows` rows) with row i of the
  // matrix, or adds the product to it. A row of y has matrix.rows floats.
  void (*multiply)(const PackedMatrix& matrix, Span panels, const Activations& x, int64_t rows, bool add, float* y);

  // Stores gate / (1 + exp(-gate)) * up in these groups of `y`. In the matrix, 16 rows of gate and 16 rows of up
  // alternate.
  void (*multiply_gated)(const PackedMatrix& gate_up, Span groups, const Activations& x, int64_t rows,
                         const Activations& y);

  // Rotates pairs of elements of a head, in place. `turns` has a cosine and a sine for each pair.
  void (*rotate)(const float* turns, int64_t width, float* head);

  // Stores the key and value of a position in the cache.
  void (*store)(const float* key, const float* value, int64_t position, const HeadCache& cache);

  // The attention of `heads` consecutive queries to positions 0 to `count` - 1, where `count` is positive; `out` is as
  // long as the queries. `scratch` has room for AttentionScratch(count) floats. Prefetches memory from `next` on, where
  // the keys of the next call are, but does not read it.
  void (*attend)(const float* queries, int64_t heads, const HeadCache& cache, int64_t count, const void* next,
                 float* scratch, float* out);
};

// The most heads for which attention is computed at once.
inline constexpr int64_t kMaxHeadsAtOnce = 4;
constexpr int64_t AttentionScratch(int64_t positions) {
  return kMaxHeadsAtOnce * (positions + HeadCache::kBlock);
}

// Each is in a file of its own; those for x86-64 exist only on that architecture.
extern const Kernels kPortableKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;

// The functions of a set that is not supported must not be called.
const Kernels& KernelsFor(KernelSet set);
// Those for BestKernelSet.
const Kernels& BestKernels();

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_KERNELS_H_
