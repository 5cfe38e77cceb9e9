// AVX-512 with VNNI: a vector register holds an output for each of a panel's 16 rows. vpdpbusd multiplies 64 unsigned
// with 64 signed bytes and adds each four neighbours to a 32-bit sum. The unsigned bytes are the weights, a vector of
// the panel; the signed bytes are four bytes of one row of x, which the instruction itself repeats 16 times.
//
// 8 rows of x are multiplied at once: 8 sums of integers, 8 of floats, the vector, its two halves and a mask take 20 of
// 32 registers, and a vector is loaded and split once for 16 multiplications.
//
// The bound with many rows is two multiplications of 64 bytes per cycle, of which the scales take a third; with one row
// it is the memory.
#include <immintrin.h>

#include <type_traits>

#include "server/kernels/kernels_impl.h"

namespace predictd {
namespace {

struct Avx512 {
  static constexpr int kTileRows = 8;
  static constexpr int kHeads = 4;
  static constexpr int kScoreBlocks = 4;
  static constexpr int kValueVectors = 4;
  // How far ahead of the multiplication memory is prefetched: a few groups further than the processor itself
  // prefetches.
  static constexpr int64_t kAhead = 4096;

  using Floats = __m512;

  static Floats Splat(float x) { return _mm512_set1_ps(x); }
  static Floats Load(const float* from) { return _mm512_loadu_ps(from); }
  static Floats LoadHalf(const void* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
  }
  static void Store(float* to, Floats x) { _mm512_storeu_ps(to, x); }
  static void StoreHalf(void* to, Floats x) {
    _mm256_storeu_si256(static_cast<__m256i*>(to), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static void Fetch(const void* from) { _mm_prefetch(from, _MM_HINT_T1); }
  [[gnu::always_inline]] static void FetchWeights(const uint8_t* from) { _mm_prefetch(from + kAhead, _MM_HINT_T0); }
  [[gnu::always_inline]] static Floats RepeatFloat(const uint8_t* from) { return _mm512_castsi512_ps(Repeat(from)); }
  static Floats Add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats Sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats Mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats Div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
  static Floats Max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats Min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats MulAdd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats TurnPairs(Floats x, Floats turns) {
    const Floats swapped = _mm512_permute_ps(x, 0xb1);
    return _mm512_fmaddsub_ps(x, _mm512_moveldup_ps(turns), _mm512_mul_ps(swapped, _mm512_movehdup_ps(turns)));
  }
  static float Sum(Floats x) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float Largest(Floats x) { return _mm512_reduce_max_ps(x); }
  static float LargestMagnitude(Floats a, Floats b) {
    // Compares as integers, in which NaN is larger than infinity, and infinity larger than all others.
    const __m512i bits = _mm512_set1_epi32(0x7fffffff);
    const int largest = _mm512_reduce_max_epi32(_mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(a), bits),
                                                                 _mm512_and_si512(_mm512_castps_si512(b), bits)));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(largest)));
  }
  static Floats PowerOfTwo(Floats x) {
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(x), 23), _mm512_set1_epi32(0x3f800000)));
  }
  static int Quantize(Floats a, Floats b, float factor, uint8_t* to) {
    const __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(a, Splat(factor)));
    const __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(b, Splat(factor)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 16), _mm512_cvtepi32_epi8(high));
    return _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
  }

  template <int kRows>
  [[gnu::always_inline]] static void MultiplyQ4(const uint8_t* weights, int64_t groups, const uint8_t* tile,
                                                int64_t row, Floats (&results)[kRows]) {
    const __m512i low_bits = _mm512_set1_epi8(15);
    const uint8_t* scales = tile + row * 4;
    const uint8_t* quants = tile + Activations::kQuants + row * kGroup;
    for (int64_t group = 0; group < groups; ++group) {
      __m512i products[kRows];
      ForEachRow<kRows>([&](int64_t i) { products[i] = _mm512_setzero_si512(); });
#pragma GCC unroll 4
      for (int64_t j = 0; j < 4; ++j) {
        FetchWeights(weights + 64 * j);
        const __m512i both = _mm512_loadu_si512(weights + 64 * (j + 1));
        const __m512i low = _mm512_and_si512(both, low_bits);
        const __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), low_bits);
        ForEachRow<kRows>([&](int64_t i) {
          products[i] = _mm512_dpbusd_epi32(products[i], low, Repeat(quants + i * kGroup + 4 * j));
        });
        ForEachRow<kRows>([&](int64_t i) {
          products[i] = _mm512_dpbusd_epi32(products[i], high, Repeat(quants + i * kGroup + 16 + 4 * j));
        });
      }
      FetchWeights(weights + 256);
      const Floats scale = LoadHalf(weights);
      const Floats minimum = LoadHalf(weights + 32);
      ForEachRow<kRows>([&](int64_t i) {
        Floats sum = Mul(minimum, RepeatFloat(scales + Activations::kSums + 4 * i));
        sum = MulAdd(scale, _mm512_cvtepi32_ps(products[i]), sum);
        results[i] = MulAdd(sum, RepeatFloat(scales + 4 * i), results[i]);
      });
      weights += 320;
      scales += Activations::kGroupBytes;
      quants += Activations::kGroupBytes;
    }
  }

  template <int kRows>
  [[gnu::always_inline]] static void MultiplyQ8(const uint8_t* panel, int64_t groups, const uint8_t* tile, int64_t row,
                                                Floats (&results)[kRows]) {
    const __m512i sign = _mm512_set1_epi8(-128);
    const uint8_t* weights = panel + (groups + 1) / 2 * 64;
    const uint8_t* scales = tile + row * 4;
    const uint8_t* quants = tile + Activations::kQuants + row * kGroup;
    for (int64_t group = 0; group < groups; ++group) {
      __m512i products[kRows];
      ForEachRow<kRows>([&](int64_t i) { products[i] = _mm512_setzero_si512(); });
#pragma GCC unroll 8
      for (int64_t j = 0; j < 8; ++j) {
        FetchWeights(weights + 64 * j);
        // The weights must be unsigned here, so 128 is added to them.
        const __m512i more = _mm512_xor_si512(_mm512_loadu_si512(weights + 64 * j), sign);
        ForEachRow<kRows>([&](int64_t i) {
          products[i] = _mm512_dpbusd_epi32(products[i], more, Repeat(quants + i * kGroup + 4 * j));
        });
      }
      const Floats scale = LoadHalf(panel + 32 * group);
      ForEachRow<kRows>([&](int64_t i) {
        // Subtracts the contribution of the 128. Both sums are integers below 2^24, so this is exact.
        const Floats product =
            MulAdd(Splat(-128), RepeatFloat(scales + Activations::kSums + 4 * i), _mm512_cvtepi32_ps(products[i]));
        results[i] = MulAdd(Mul(scale, product), RepeatFloat(scales + 4 * i), results[i]);
      });
      weights += 512;
      scales += Activations::kGroupBytes;
      quants += Activations::kGroupBytes;
    }
  }

 private:
  // Four bytes, repeated in all lanes.
  [[gnu::always_inline]] static __m512i Repeat(const uint8_t* from) {
    int bytes;
    std::memcpy(&bytes, from, sizeof(bytes));
    return _mm512_set1_epi32(bytes);
  }
};

}  // namespace

const Kernels kAvx512Kernels = KernelsOf<Avx512>::kKernels;

}  // namespace predictd
