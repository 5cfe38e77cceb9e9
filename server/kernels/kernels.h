#ifndef PREDICTD_SERVER_KERNELS_KERNELS_H_
#define PREDICTD_SERVER_KERNELS_KERNELS_H_

#include <cstdint>

#include "server/kernels/activations.h"
#include "server/kernels/packed_matrix.h"

namespace predictd {

// From `begin` up to `end`.
struct Span {
  int64_t begin = 0;
  int64_t end = 0;
};

enum class CacheElement { kF16, kF32 };

// The keys and values of one key head of one slot:
//   keys    [positions / 16, width, 16]: an element of 16 positions is a vector, so a score needs no sum across lanes
//   values  [positions, width]
struct HeadCache {
  void* keys = nullptr;
  void* values = nullptr;
  CacheElement element = CacheElement::kF16;
  // Of a head: a multiple of 32.
  int64_t width = 0;

  static constexpr int64_t kBlock = 16;
};

// The arithmetic of a decoder, as compiled for one instruction set. What a row of the result is depends on nothing but
// that row of the arguments: sums have a fixed order. Instruction sets differ in rounding only. Functions of their
// arguments that use no other memory: any number of threads may call them at once, on parts of one result too. Arrays
// need no alignment; counts are multiples of 32 where nothing else is said.
struct Kernels {
  const char* name;

  // y = x / sqrt(mean(x^2) + epsilon) * factors. y may be x.
  void (*normalize)(const float* x, const float* factors, float epsilon, int64_t count, float* y);

  // Puts numbers into a row of activations, from column `first` on.
  void (*put)(const float* x, int64_t count, int64_t row, int64_t first, const Activations& to);

  // y[row, i] = product of `rows` rows with row i of the matrix, or += it, for i in these panels. A row of y has
  // matrix.rows floats.
  void (*multiply)(const PackedMatrix& matrix, Span panels, const Activations& x, int64_t rows, bool add, float* y);

  // gate / (1 + exp(-gate)) * up, put into `y`, for these groups of it. The matrix has, by turns, 16 rows of gate and
  // 16 of up.
  void (*multiply_gated)(const PackedMatrix& gate_up, Span groups, const Activations& x, int64_t rows,
                         const Activations& y);

  // Turns pairs of elements of a head, in place. `turns` has a cosine and a sine for each pair.
  void (*rotate)(const float* turns, int64_t width, float* head);

  // Puts the key and value of a position into the cache.
  void (*store)(const float* key, const float* value, int64_t position, const HeadCache& cache);

  // Attention of `heads` queries, one behind the other, to positions 0 up to `count`, which is positive: `out` is as
  // long as they are. `scratch` has room for AttentionScratch(count) floats. Memory from `next` on, where the keys of
  // the next call are, is fetched on the way; nothing is read there.
  void (*attend)(const float* queries, int64_t heads, const HeadCache& cache, int64_t count, const void* next,
                 float* scratch, float* out);
};

// How many heads are attended to at once, at most.
inline constexpr int64_t kMaxHeadsAtOnce = 4;
constexpr int64_t AttentionScratch(int64_t positions) {
  return kMaxHeadsAtOnce * (positions + HeadCache::kBlock);
}

// Each in a file of its own; those for x86-64 are only there on it.
extern const Kernels kPortableKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;

enum class KernelSet {
  // What the compiler may take for granted.
  kPortable,
  // AVX2, FMA and F16C.
  kAvx2,
  // AVX-512 F, BW, VL, DQ and VNNI.
  kAvx512,
};

// Whether this processor and system run it.
bool IsSupported(KernelSet set);
// Only those that are supported may be called.
const Kernels& KernelsFor(KernelSet set);
// The fastest that is supported, or the one that the environment variable PREDICTD_KERNEL_SET names (portable, avx2,
// avx512) if it is supported. Chosen at the first call.
const Kernels& BestKernels();

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_KERNELS_H_
