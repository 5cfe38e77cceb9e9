// AVX2: 16 outputs are two vector registers. vpmaddubsw multiplies 32 unsigned with 32 signed bytes and adds neighbours
// to 16-bit sums. Four bits times seven bits, twice, are at most 3,810; eight of those fit into 16 bits, so a group of
// kQ4 is summed there before it is widened. Products of eight bits are widened at once.
//
// 4 rows of x are multiplied at once: 8 sums of integers leave 8 of 16 registers for the vector's halves, four bytes of
// a row of x, and the products. The sums of floats stay in memory and are needed once per group.
//
// The bound is two vpmaddubsw of 32 bytes per cycle, where adding up takes as many instructions again.
#include <immintrin.h>

#include <type_traits>

#include "server/kernels/kernels_impl.h"

namespace predictd {
namespace {

struct Avx2 {
  static constexpr int kTileRows = 4;
  static constexpr int kHeads = 3;
  static constexpr int kScoreBlocks = 2;
  static constexpr int kValueVectors = 2;
  // How far ahead of the multiplication memory is prefetched.
  static constexpr int64_t kAhead = 6144;

  struct Floats {
    __m256 low;
    __m256 high;
  };

  static Floats Splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Floats Load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
  static Floats LoadHalf(const void* from) {
    const auto* halves = static_cast<const __m128i*>(from);
    return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
  }
  static void Store(float* to, Floats x) {
    _mm256_storeu_ps(to, x.low);
    _mm256_storeu_ps(to + 8, x.high);
  }
  static void StoreHalf(void* to, Floats x) {
    auto* halves = static_cast<__m128i*>(to);
    _mm_storeu_si128(halves, _mm256_cvtps_ph(x.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(x.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static void Fetch(const void* from) { _mm_prefetch(from, _MM_HINT_T1); }
  [[gnu::always_inline]] static void FetchWeights(const uint8_t* from) { _mm_prefetch(from + kAhead, _MM_HINT_T0); }
  [[gnu::always_inline]] static Floats RepeatFloat(const uint8_t* from) {
    const __m256 all = _mm256_castsi256_ps(Repeat(from));
    return {all, all};
  }
  static Floats Add(Floats a, Floats b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  static Floats Sub(Floats a, Floats b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
  static Floats Mul(Floats a, Floats b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  static Floats Div(Floats a, Floats b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
  static Floats Max(Floats a, Floats b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
  static Floats Min(Floats a, Floats b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
  static Floats MulAdd(Floats a, Floats b, Floats c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static Floats TurnPairs(Floats x, Floats turns) { return {Turn(x.low, turns.low), Turn(x.high, turns.high)}; }
  static float Sum(Floats x) {
    const __m256 eight = _mm256_add_ps(x.low, x.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float Largest(Floats x) {
    const __m256 eight = _mm256_max_ps(x.low, x.high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  static float LargestMagnitude(Floats a, Floats b) {
    // Compares as integers, in which NaN is larger than infinity, and infinity larger than all others.
    const __m256i eight = _mm256_max_epi32(_mm256_max_epi32(Magnitude(a.low), Magnitude(a.high)),
                                           _mm256_max_epi32(Magnitude(b.low), Magnitude(b.high)));
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1))));
  }
  static Floats PowerOfTwo(Floats x) { return {Power(x.low), Power(x.high)}; }
  static int Quantize(Floats a, Floats b, float factor, uint8_t* to) {
    const __m256 times = _mm256_set1_ps(factor);
    const __m256i q0 = _mm256_cvtps_epi32(_mm256_mul_ps(a.low, times));
    const __m256i q1 = _mm256_cvtps_epi32(_mm256_mul_ps(a.high, times));
    const __m256i q2 = _mm256_cvtps_epi32(_mm256_mul_ps(b.low, times));
    const __m256i q3 = _mm256_cvtps_epi32(_mm256_mul_ps(b.high, times));
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q0, q1), _mm256_packs_epi32(q2, q3));
    // Packing works within each half of a register.
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(bytes, order));
    const __m256i eight = _mm256_add_epi32(_mm256_add_epi32(q0, q1), _mm256_add_epi32(q2, q3));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
  }

  template <int kRows>
  [[gnu::always_inline]] static void MultiplyQ4(const uint8_t* weights, int64_t groups, const uint8_t* tile,
                                                int64_t row, Floats (&results)[kRows]) {
    const __m256i low_bits = _mm256_set1_epi8(15);
    const __m256i ones = _mm256_set1_epi16(1);
    const uint8_t* scales = tile + row * 4;
    const uint8_t* quants = tile + Activations::kQuants + row * kGroup;
    for (int64_t group = 0; group < groups; ++group) {
      Ints products[kRows];
      ForEachRow<kRows>([&](int64_t i) { products[i] = {_mm256_setzero_si256(), _mm256_setzero_si256()}; });
#pragma GCC unroll 4
      for (int64_t j = 0; j < 4; ++j) {
        FetchWeights(weights + 64 * j);
        const uint8_t* both = weights + 64 * (j + 1);
        Ints x = {_mm256_and_si256(LoadBytes(both), low_bits), _mm256_and_si256(LoadBytes(both + 32), low_bits)};
        ForEachRow<kRows>([&](int64_t i) { AddProducts(x, quants + i * kGroup + 4 * j, products[i]); });
        x = {_mm256_and_si256(_mm256_srli_epi16(LoadBytes(both), 4), low_bits),
             _mm256_and_si256(_mm256_srli_epi16(LoadBytes(both + 32), 4), low_bits)};
        ForEachRow<kRows>([&](int64_t i) { AddProducts(x, quants + i * kGroup + 16 + 4 * j, products[i]); });
      }
      FetchWeights(weights + 256);
      const Floats scale = LoadHalf(weights);
      const Floats minimum = LoadHalf(weights + 32);
      ForEachRow<kRows>([&](int64_t i) {
        const Floats product = {_mm256_cvtepi32_ps(_mm256_madd_epi16(products[i].low, ones)),
                                _mm256_cvtepi32_ps(_mm256_madd_epi16(products[i].high, ones))};
        Floats sum = Mul(minimum, RepeatFloat(scales + Activations::kSums + 4 * i));
        sum = MulAdd(scale, product, sum);
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
    const __m256i ones = _mm256_set1_epi16(1);
    const uint8_t* weights = panel + (groups + 1) / 2 * 64;
    const uint8_t* scales = tile + row * 4;
    const uint8_t* quants = tile + Activations::kQuants + row * kGroup;
    for (int64_t group = 0; group < groups; ++group) {
      Ints products[kRows];
      ForEachRow<kRows>([&](int64_t i) { products[i] = {_mm256_setzero_si256(), _mm256_setzero_si256()}; });
#pragma GCC unroll 8
      for (int64_t j = 0; j < 8; ++j) {
        FetchWeights(weights + 64 * j);
        // One factor must be unsigned, so the signs of the weights move to x.
        const Ints x = {LoadBytes(weights + 64 * j), LoadBytes(weights + 64 * j + 32)};
        const Ints magnitude = {_mm256_abs_epi8(x.low), _mm256_abs_epi8(x.high)};
        ForEachRow<kRows>([&](int64_t i) {
          const __m256i bytes = Repeat(quants + i * kGroup + 4 * j);
          const __m256i low = _mm256_maddubs_epi16(magnitude.low, _mm256_sign_epi8(bytes, x.low));
          const __m256i high = _mm256_maddubs_epi16(magnitude.high, _mm256_sign_epi8(bytes, x.high));
          products[i].low = _mm256_add_epi32(products[i].low, _mm256_madd_epi16(low, ones));
          products[i].high = _mm256_add_epi32(products[i].high, _mm256_madd_epi16(high, ones));
          Settle(products[i]);
        });
      }
      const Floats scale = LoadHalf(panel + 32 * group);
      ForEachRow<kRows>([&](int64_t i) {
        const Floats product = {_mm256_cvtepi32_ps(products[i].low), _mm256_cvtepi32_ps(products[i].high)};
        results[i] = MulAdd(Mul(scale, product), RepeatFloat(scales + 4 * i), results[i]);
      });
      weights += 512;
      scales += Activations::kGroupBytes;
      quants += Activations::kGroupBytes;
    }
  }

 private:
  // Integers for 16 outputs.
  struct Ints {
    __m256i low;
    __m256i high;
  };

  [[gnu::always_inline]] static __m256 Turn(__m256 x, __m256 turns) {
    const __m256 swapped = _mm256_permute_ps(x, 0xb1);
    return _mm256_fmaddsub_ps(x, _mm256_moveldup_ps(turns), _mm256_mul_ps(swapped, _mm256_movehdup_ps(turns)));
  }
  [[gnu::always_inline]] static __m256i Magnitude(__m256 x) {
    return _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
  }
  [[gnu::always_inline]] static __m256 Power(__m256 x) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(x), 23), _mm256_set1_epi32(0x3f800000)));
  }

  // Makes the compiler finish the pending computations before it goes on: otherwise GCC 12 multiplies far ahead and
  // runs out of registers, which halves the speed.
  [[gnu::always_inline]] static void Settle(Ints& x) { asm volatile("" : "+x"(x.low), "+x"(x.high)); }

  [[gnu::always_inline]] static __m256i LoadBytes(const uint8_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  // Four bytes, repeated in all lanes.
  [[gnu::always_inline]] static __m256i Repeat(const uint8_t* from) {
    int bytes;
    std::memcpy(&bytes, from, sizeof(bytes));
    return _mm256_set1_epi32(bytes);
  }

  // Adds x, which is unsigned, times four bytes of a row to the sums, in 16 bits.
  [[gnu::always_inline]] static void AddProducts(Ints x, const uint8_t* bytes, Ints& sums) {
    const __m256i row = Repeat(bytes);
    sums.low = _mm256_add_epi16(sums.low, _mm256_maddubs_epi16(x.low, row));
    sums.high = _mm256_add_epi16(sums.high, _mm256_maddubs_epi16(x.high, row));
    Settle(sums);
  }
};

}  // namespace

const Kernels kAvx2Kernels = KernelsOf<Avx2>::kKernels;

}  // namespace predictd
