#ifndef PREDICTD_SERVER_SAMPLING_LOGIT_KERNELS_VECTORS_H_
#define PREDICTD_SERVER_SAMPLING_LOGIT_KERNELS_VECTORS_H_

// Arithmetic on all lanes at once, for the files that compile the kernels for an instruction set. Those files may
// include nothing else: of an inline function that they share with other files the linker keeps one copy, and that copy
// might be one that this processor cannot run. For the same reason everything here is in an unnamed namespace.
//
// a * b + c must not be contracted, because that would round once instead of twice.

#include <cstddef>
#include <cstdint>

#include "server/sampling/logit_kernels.h"

namespace predictd {
namespace {

// One register of kBytes bytes.
template <size_t kBytes>
struct Register {
  using Float __attribute__((vector_size(kBytes))) = float;
  using Int __attribute__((vector_size(kBytes))) = int32_t;
  using Bits __attribute__((vector_size(kBytes))) = uint32_t;
  using Words __attribute__((vector_size(kBytes))) = uint64_t;
};

// Two registers or pairs that are treated alike: the compiler itself would split up vectors that are longer than a
// register.
template <class Part>
struct Pair {
  Part low;
  Part high;
};

// Vectors of kLogitLanes elements.
template <size_t kBytes>
struct Lanes;
template <>
struct Lanes<32> {
  using Float = Pair<Register<32>::Float>;
  using Int = Pair<Register<32>::Int>;
};
template <>
struct Lanes<16> {
  using Float = Pair<Pair<Register<16>::Float>>;
  using Int = Pair<Pair<Register<16>::Int>>;
};

template <class Part>
[[gnu::always_inline]] inline Pair<Part> operator+(Pair<Part> a, Pair<Part> b) {
  return {a.low + b.low, a.high + b.high};
}
template <class Part>
[[gnu::always_inline]] inline Pair<Part> operator-(Pair<Part> a, Pair<Part> b) {
  return {a.low - b.low, a.high - b.high};
}
template <class Part>
[[gnu::always_inline]] inline Pair<Part> operator*(Pair<Part> a, Pair<Part> b) {
  return {a.low * b.low, a.high * b.high};
}
template <class Part>
[[gnu::always_inline]] inline Pair<Part> operator&(Pair<Part> a, Pair<Part> b) {
  return {a.low & b.low, a.high & b.high};
}
template <class Part>
[[gnu::always_inline]] inline Pair<Part> operator|(Pair<Part> a, Pair<Part> b) {
  return {a.low | b.low, a.high | b.high};
}

// A comparison gives -1 in each lane in which it holds.
template <class Part>
[[gnu::always_inline]] inline auto operator>=(Pair<Part> a, Pair<Part> b) {
  return Pair<decltype(a.low >= b.low)>{a.low >= b.low, a.high >= b.high};
}
template <class Part>
[[gnu::always_inline]] inline auto operator<(Pair<Part> a, Pair<Part> b) {
  return Pair<decltype(a.low < b.low)>{a.low < b.low, a.high < b.high};
}
template <class Part>
[[gnu::always_inline]] inline auto operator!=(Pair<Part> a, Pair<Part> b) {
  return Pair<decltype(a.low != b.low)>{a.low != b.low, a.high != b.high};
}

// Each of the following works on one register and on pairs.
template <size_t kBytes, class Vector>
struct Operation {
  using Bits = typename Register<kBytes>::Bits;
  using Int = typename Register<kBytes>::Int;
  using Words = typename Register<kBytes>::Words;

  [[gnu::always_inline]] static Vector Splat(float value) { return Vector{} + value; }
  [[gnu::always_inline]] static Vector Load(const float* from) {
    Vector result;
    __builtin_memcpy(&result, from, sizeof(result));
    return result;
  }
  // Returns b where a is NaN.
  [[gnu::always_inline]] static Vector Max(Vector a, Vector b) { return a > b ? a : b; }
  // The value where the mask is set, 0 elsewhere.
  [[gnu::always_inline]] static Vector Keep(Vector value, Int mask) {
    return reinterpret_cast<Vector>(reinterpret_cast<Int>(value) & mask);
  }
  // value * 2^n, where n is in the low bits of `exponent`; shifting by 23 removes all bits above them.
  [[gnu::always_inline]] static Vector Scale(Vector value, Vector exponent) {
    return value * reinterpret_cast<Vector>((reinterpret_cast<Bits>(exponent) << 23) + 0x3f800000U);
  }
  [[gnu::always_inline]] static bool Any(Int mask) {
    const Words words = reinterpret_cast<Words>(mask);
    uint64_t all = 0;
    for (size_t i = 0; i < kBytes / sizeof(uint64_t); ++i) all |= words[i];
    return all != 0;
  }
};

template <size_t kBytes, class Part>
struct Operation<kBytes, Pair<Part>> {
  using Half = Operation<kBytes, Part>;
  static constexpr size_t kHalfLanes = sizeof(Part) / sizeof(float);

  [[gnu::always_inline]] static Pair<Part> Splat(float value) { return {Half::Splat(value), Half::Splat(value)}; }
  [[gnu::always_inline]] static Pair<Part> Load(const float* from) {
    return {Half::Load(from), Half::Load(from + kHalfLanes)};
  }
  [[gnu::always_inline]] static Pair<Part> Max(Pair<Part> a, Pair<Part> b) {
    return {Half::Max(a.low, b.low), Half::Max(a.high, b.high)};
  }
  template <class Mask>
  [[gnu::always_inline]] static Pair<Part> Keep(Pair<Part> value, Pair<Mask> mask) {
    return {Half::Keep(value.low, mask.low), Half::Keep(value.high, mask.high)};
  }
  [[gnu::always_inline]] static Pair<Part> Scale(Pair<Part> value, Pair<Part> exponent) {
    return {Half::Scale(value.low, exponent.low), Half::Scale(value.high, exponent.high)};
  }
  template <class Mask>
  [[gnu::always_inline]] static bool Any(Pair<Mask> mask) {
    return Half::Any(mask.low | mask.high);
  }
};

}  // namespace
}  // namespace predictd

#endif  // PREDICTD_SERVER_SAMPLING_LOGIT_KERNELS_VECTORS_H_
