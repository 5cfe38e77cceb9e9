#ifndef PREDICTD_SERVER_SAMPLING_LOGIT_KERNELS_IMPL_H_
#define PREDICTD_SERVER_SAMPLING_LOGIT_KERNELS_IMPL_H_

// The kernels for registers of any length. What logit_kernels_vectors.h says about includes and contraction applies
// here too.

#include "server/sampling/logit_kernels.h"
#include "server/sampling/logit_kernels_vectors.h"

namespace predictd {
namespace {

template <size_t kBytes>
struct VectorKernels {
  using Floats = typename Lanes<kBytes>::Float;
  using Ints = typename Lanes<kBytes>::Int;
  using Vector = Operation<kBytes, Floats>;

  static constexpr float kInfinity = __builtin_huge_valf();

  // The first `count` elements, and `fill` in the other lanes.
  [[gnu::always_inline]] static Floats LoadPart(const float* from, size_t count, float fill) {
    Floats result = Vector::Splat(fill);
    __builtin_memcpy(&result, from, count * sizeof(float));
    return result;
  }
  [[gnu::always_inline]] static void Store(Floats values, float* to, size_t count = kLogitLanes) {
    __builtin_memcpy(to, &values, count * sizeof(float));
  }

  // Adds in pairs, always in the same order.
  [[gnu::always_inline]] static double Sum(Floats values) {
    float lanes[kLogitLanes];
    Store(values, lanes);
    for (size_t half = kLogitLanes / 2; half > 0; half /= 2) {
      for (size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    }
    return lanes[0];
  }

  // The sum of lanes that each hold a negated count.
  [[gnu::always_inline]] static int64_t Count(Ints negative_counts) {
    int32_t lanes[kLogitLanes];
    __builtin_memcpy(lanes, &negative_counts, sizeof(lanes));
    int64_t count = 0;
    for (int32_t lane : lanes) count -= lane;
    return count;
  }

  // exp of values <= 0: exp(x) = 2^n exp(r), where n is the integer nearest to x / ln 2, and exp(r) is a minimax
  // polynomial.
  [[gnu::always_inline]] static Floats Exp(Floats x) {
    const Ints in_range = x >= Vector::Splat(-87.3F);  // 2^n is normal from here on.
    // Adding this constant rounds to an integer, which is then in the low bits.
    const Floats round = Vector::Splat(0x1.8p23F);
    const Floats rounded = x * Vector::Splat(1.442695F) + round;
    const Floats n = rounded - round;
    // ln 2 is split in two parts, so that n times the first one is exact.
    const Floats r = (x - n * Vector::Splat(0.693359375F)) - n * Vector::Splat(-2.1219444e-4F);
    Floats p = r * Vector::Splat(0.0013814309F) + Vector::Splat(0.0083688525F);
    p = p * r + Vector::Splat(0.0416684F);
    p = p * r + Vector::Splat(0.1666652F);
    p = p * r + Vector::Splat(0.49999994F);
    p = p * (r * r) + r + Vector::Splat(1.0F);
    return Vector::Keep(Vector::Scale(p, rounded), in_range);
  }

  [[gnu::always_inline]] static size_t BlockEnd(size_t begin, size_t size) {
    return size - begin < kLogitBlock ? size : begin + kLogitBlock;
  }

  static LogitScan Scan(const float* logits, size_t size, float* lane_maxima) {
    Ints nan = Vector::Splat(0) != Vector::Splat(0);  // None.
    Floats all = Vector::Splat(-kInfinity);
    for (size_t begin = 0; begin < size; begin += kLogitBlock) {
      const size_t end = BlockEnd(begin, size);
      Floats max = Vector::Splat(-kInfinity);
      size_t i = begin;
      for (; i + kLogitLanes <= end; i += kLogitLanes) {
        const Floats values = Vector::Load(logits + i);
        nan = nan | (values != values);
        max = Vector::Max(values, max);
      }
      if (i < end) {
        const Floats values = LoadPart(logits + i, end - i, -kInfinity);
        nan = nan | (values != values);
        max = Vector::Max(values, max);
      }
      Store(max, lane_maxima);
      lane_maxima += kLogitLanes;
      all = Vector::Max(max, all);
    }
    float lanes[kLogitLanes];
    Store(all, lanes);
    float max = lanes[0];
    for (float lane : lanes) max = lane > max ? lane : max;
    return {max, Vector::Any(nan)};
  }

  static void Weigh(const float* logits, size_t size, float max, float scale, float* weights, double* block_sums) {
    const Floats top = Vector::Splat(max);
    const Floats factor = Vector::Splat(scale);
    for (size_t begin = 0; begin < size; begin += kLogitBlock) {
      const size_t end = BlockEnd(begin, size);
      Floats sum = Vector::Splat(0);
      size_t i = begin;
      for (; i + kLogitLanes <= end; i += kLogitLanes) {
        const Floats weight = Exp((Vector::Load(logits + i) - top) * factor);
        Store(weight, weights + i);
        sum = sum + weight;
      }
      if (i < end) {
        const Floats weight = Exp((LoadPart(logits + i, end - i, -kInfinity) - top) * factor);
        Store(weight, weights + i, end - i);
        sum = sum + weight;
      }
      *block_sums++ = Sum(sum);
    }
  }

  static LogitShare Measure(const float* logits, const float* weights, size_t size, float threshold) {
    const Floats least = Vector::Splat(threshold);
    Ints counts = least != least;  // 0, as `threshold` is no NaN.
    double weight = 0;
    for (size_t begin = 0; begin < size; begin += kLogitBlock) {
      const size_t end = BlockEnd(begin, size);
      Floats sum = Vector::Splat(0);
      size_t i = begin;
      for (; i + kLogitLanes <= end; i += kLogitLanes) {
        const Ints kept = Vector::Load(logits + i) >= least;
        counts = counts + kept;
        sum = sum + Vector::Keep(Vector::Load(weights + i), kept);
      }
      if (i < end) {
        const Ints kept = LoadPart(logits + i, end - i, -kInfinity) >= least;
        counts = counts + kept;
        sum = sum + Vector::Keep(LoadPart(weights + i, end - i, 0), kept);
      }
      weight += Sum(sum);
    }
    return {Count(counts), weight};
  }

  static int64_t CountAtLeast(const float* logits, size_t size, float threshold) {
    const Floats least = Vector::Splat(threshold);
    Ints counts = least != least;  // 0, as `threshold` is no NaN.
    size_t i = 0;
    for (; i + kLogitLanes <= size; i += kLogitLanes) counts = counts + (Vector::Load(logits + i) >= least);
    if (i < size) counts = counts + (LoadPart(logits + i, size - i, -kInfinity) >= least);
    return Count(counts);
  }

  static void Mask(const float* logits, size_t size, float threshold, float min_weight, float* weights,
                   double* block_sums) {
    const Floats least = Vector::Splat(threshold);
    const Floats lightest = Vector::Splat(min_weight);
    for (size_t begin = 0; begin < size; begin += kLogitBlock) {
      const size_t end = BlockEnd(begin, size);
      Floats sum = Vector::Splat(0);
      size_t i = begin;
      for (; i + kLogitLanes <= end; i += kLogitLanes) {
        const Floats weight = Vector::Load(weights + i);
        const Floats kept = Vector::Keep(weight, (Vector::Load(logits + i) >= least) & (weight >= lightest));
        Store(kept, weights + i);
        sum = sum + kept;
      }
      if (i < end) {
        const Floats weight = LoadPart(weights + i, end - i, 0);
        const Ints in_range = LoadPart(logits + i, end - i, -kInfinity) >= least;
        const Floats kept = Vector::Keep(weight, in_range & (weight >= lightest));
        Store(kept, weights + i, end - i);
        sum = sum + kept;
      }
      *block_sums++ = Sum(sum);
    }
  }

  static size_t Collect(const float* logits, size_t size, float low, float high, int32_t* ids) {
    constexpr size_t kGroup = 4 * kLogitLanes;
    const Floats least = Vector::Splat(low);
    const Floats bound = Vector::Splat(high);
    size_t count = 0;
    for (size_t begin = 0; begin < size; begin += kGroup) {
      size_t end = size;
      if (size - begin > kGroup) {
        end = begin + kGroup;
        Ints found = least != least;  // None.
        for (size_t i = begin; i < end; i += kLogitLanes) {
          const Floats values = Vector::Load(logits + i);
          found = found | ((values >= least) & (values < bound));
        }
        if (!Vector::Any(found)) continue;
      }
      // Without a branch: the next id overwrites one that is not to be kept.
      for (size_t i = begin; i < end; ++i) {
        ids[count] = static_cast<int32_t>(i);
        count += static_cast<size_t>(logits[i] >= low) & static_cast<size_t>(logits[i] < high);
      }
    }
    return count;
  }

  static constexpr LogitKernels kKernels = {
      .scan = Scan, .weigh = Weigh, .measure = Measure, .count = CountAtLeast, .mask = Mask, .collect = Collect};
};

}  // namespace
}  // namespace predictd

#endif  // PREDICTD_SERVER_SAMPLING_LOGIT_KERNELS_IMPL_H_
