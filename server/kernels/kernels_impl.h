#ifndef PREDICTD_SERVER_KERNELS_KERNELS_IMPL_H_
#define PREDICTD_SERVER_KERNELS_KERNELS_IMPL_H_

// The kernels, written in terms of an instruction set's operations. Include this only in the files that compile them
// for one instruction set. Those files may use no function that other files compile as well and that is not always
// inlined: the linker keeps only one copy of such a function, which might be one that this processor cannot run. For
// the same reason everything here is in an unnamed namespace. A test checks the library's instructions.
//
// An instruction set `Isa` has
//   Floats, 16 of them, and Splat, Load, LoadHalf, Store, StoreHalf, Add, Sub, Mul, Div, and Max and Min, which return
//   the second argument if one is NaN
//   MulAdd(a, b, c) = a * b + c
//   TurnPairs(x, turns): (a, b) and (cos, sin) to (a cos - b sin, a sin + b cos)
//   Sum(x), Largest(x): over the lanes; pairs i and i + 8, then i and i + 4, then i and i + 2, then the two
//   LargestMagnitude(a, b): of all lanes; not finite if one is not
//   PowerOfTwo(x): 2^n for each lane, where x is n + 1.5 * 2^23
//   Quantize(a, b, factor, to): 32 numbers times the factor, rounded to nearest even, as bytes; returns their sum
//   Fetch(from): prefetches the 64 bytes at that address, which may be any address
//   FetchWeights(from): prefetches the weights that are multiplied some time after those at that address, if it helps;
//   always inlined, as GCC drops calls of a function that only prefetches
//   RepeatFloat(from): the float at that address in all lanes
//   kTileRows: rows of x that are multiplied at once, a divisor of 8
//   MultiplyQ4<kRows>, MultiplyQ8<kRows>(weights, groups, tile, row, results): add to the results the products of kRows
//   rows of a tile, from `row` on, with the rows of the panel that has these weights
//   kScoreBlocks, kValueVectors, kHeads: what attention keeps in registers

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "server/kernels/kernels.h"

namespace predictd {
namespace {

constexpr int64_t kLanes = 16;

// Calls use(i) for i from 0 to kRows - 1, without a loop.
template <int kRows, class Use>
[[gnu::always_inline]] inline void ForEachRow(Use use) {
#pragma GCC unroll 8
  for (int64_t i = 0; i < kRows; ++i) use(i);
}

template <class Isa>
struct KernelsOf {
  using Floats = typename Isa::Floats;

  static Floats Exp(Floats x) {
    // Below -87 the result would be denormal, above 88 infinite. NaN passes through, as it is the second argument.
    x = Isa::Max(Isa::Splat(-87.0F), x);
    x = Isa::Min(Isa::Splat(88.0F), x);
    constexpr float kRound = 12582912.0F;  // Adding 1.5 * 2^23 rounds to an integer.
    const Floats shifted = Isa::MulAdd(x, Isa::Splat(1.44269504F), Isa::Splat(kRound));
    const Floats n = Isa::Sub(shifted, Isa::Splat(kRound));
    // ln 2 in two parts, of which the first has few bits.
    Floats r = Isa::MulAdd(n, Isa::Splat(-0.693359375F), x);
    r = Isa::MulAdd(n, Isa::Splat(2.12194440e-4F), r);
    // The polynomial of Cephes' expf, with an error of at most 1e-7.
    Floats p = Isa::Splat(1.9875691500e-4F);
    p = Isa::MulAdd(p, r, Isa::Splat(1.3981999507e-3F));
    p = Isa::MulAdd(p, r, Isa::Splat(8.3334519073e-3F));
    p = Isa::MulAdd(p, r, Isa::Splat(4.1665795894e-2F));
    p = Isa::MulAdd(p, r, Isa::Splat(1.6666665459e-1F));
    p = Isa::MulAdd(p, r, Isa::Splat(5.0000001201e-1F));
    p = Isa::Add(Isa::MulAdd(p, Isa::Mul(r, r), r), Isa::Splat(1.0F));
    return Isa::Mul(p, Isa::PowerOfTwo(shifted));
  }

  static void Normalize(const float* x, const float* factors, float epsilon, int64_t count, float* y) {
    Floats low = Isa::Splat(0);
    Floats high = Isa::Splat(0);
    for (int64_t i = 0; i < count; i += 2 * kLanes) {
      const Floats a = Isa::Load(x + i);
      const Floats b = Isa::Load(x + i + kLanes);
      low = Isa::MulAdd(a, a, low);
      high = Isa::MulAdd(b, b, high);
    }
    const float mean = Isa::Sum(Isa::Add(low, high)) / static_cast<float>(count);
    const Floats factor = Isa::Splat(1.0F / std::sqrt(mean + epsilon));
    for (int64_t i = 0; i < count; i += kLanes) {
      Isa::Store(y + i, Isa::Mul(Isa::Mul(Isa::Load(x + i), factor), Isa::Load(factors + i)));
    }
  }

  // Stores 32 numbers in a group of a row.
  static void PutQuantized(const float* x, int64_t lane, uint8_t* group) {
    const Floats a = Isa::Load(x);
    const Floats b = Isa::Load(x + kLanes);
    const float largest = Isa::LargestMagnitude(a, b);
    // For smaller numbers the factor would be infinite; they count as zeros.
    const bool any = largest >= FLT_MIN * 128;
    // A value that is not finite must not become something that looks like a result.
    const float scale = !std::isfinite(largest) ? NAN : any ? largest / 127.0F : 0.0F;
    const float factor = any && std::isfinite(largest) ? 127.0F / largest : 0.0F;
    const auto sum = static_cast<float>(Isa::Quantize(a, b, factor, group + Activations::kQuants + lane * kGroup));
    std::memcpy(group + lane * sizeof(float), &scale, sizeof(scale));
    std::memcpy(group + Activations::kSums + lane * sizeof(float), &sum, sizeof(sum));
  }

  static void Put(const float* x, int64_t count, int64_t row, int64_t first, const Activations& to) {
    uint8_t* tile = to.Tile(row);
    const int64_t lane = row % kTileRows;
    if (to.quantized) {
      uint8_t* group = tile + first / kGroup * Activations::kGroupBytes;
      for (int64_t i = 0; i < count; i += kGroup, group += Activations::kGroupBytes) PutQuantized(x + i, lane, group);
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      std::memcpy(tile + ((first + i) * kTileRows + lane) * sizeof(float), x + i, sizeof(float));
    }
  }

  template <int kRows>
  [[gnu::always_inline]] static void MultiplyF16(const uint8_t* weights, int64_t columns, const uint8_t* tile,
                                                 int64_t row, Floats (&results)[kRows]) {
    const uint8_t* floats = tile + row * 4;
    for (int64_t column = 0; column < columns; ++column) {
      Isa::FetchWeights(weights);
      const Floats weight = Isa::LoadHalf(weights);
      ForEachRow<kRows>(
          [&](int64_t i) { results[i] = Isa::MulAdd(weight, Isa::RepeatFloat(floats + 4 * i), results[i]); });
      weights += 2 * kLanes;
      floats += 4 * kTileRows;
    }
  }

  // The products of kRows rows of a tile, from `row` on, with the rows of a panel.
  template <int kRows>
  [[gnu::always_inline]] static void MultiplyPanel(const PackedMatrix& matrix, int64_t panel, const uint8_t* tile,
                                                   int64_t row, Floats* products) {
    const uint8_t* weights = matrix.Panel(panel);
    Floats results[kRows];
    ForEachRow<kRows>([&](int64_t i) { results[i] = Isa::Splat(0); });
    switch (matrix.format) {
      case WeightFormat::kQ4:
        Isa::template MultiplyQ4<kRows>(weights, matrix.groups(), tile, row, results);
        break;
      case WeightFormat::kQ8:
        Isa::template MultiplyQ8<kRows>(weights, matrix.groups(), tile, row, results);
        break;
      case WeightFormat::kF16:
        MultiplyF16<kRows>(weights, matrix.columns, tile, row, results);
        break;
    }
    ForEachRow<kRows>([&](int64_t i) { products[i] = results[i]; });
  }

  // Calls use(first row of the tile, products of its rows with the panel's, number of rows) for all tiles.
  template <class Use>
  static void ForTiles(const PackedMatrix& matrix, int64_t panel, const Activations& x, int64_t rows, Use use) {
    for (int64_t row = 0; row < rows; row += Isa::kTileRows) {
      ForRows<Isa::kTileRows>(
          rows - row, [&](auto count) __attribute__((always_inline)) {
            Floats sums[count];
            MultiplyPanel<count>(matrix, panel, x.Tile(row), row % kTileRows, sums);
            use(row, sums, count);
          });
    }
  }

  // Calls use(integral constant) with the smaller of `rows` and kMost.
  template <int kMost, class Use>
  [[gnu::always_inline]] static void ForRows(int64_t rows, Use use) {
    if constexpr (kMost > 1) {
      if (rows < kMost) return ForRows<kMost - 1>(rows, use);
    }
    use(std::integral_constant<int, kMost>());
  }

  static void Multiply(const PackedMatrix& matrix, Span panels, const Activations& x, int64_t rows, bool add,
                       float* y) {
    for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
      ForTiles(matrix, panel, x, rows, [&](int64_t row, const Floats* sums, int count) {
        for (int i = 0; i < count; ++i) {
          float* to = y + (row + i) * matrix.rows + panel * kPanelRows;
          Isa::Store(to, add ? Isa::Add(Isa::Load(to), sums[i]) : sums[i]);
        }
      });
    }
  }

  static void MultiplyGated(const PackedMatrix& gate_up, Span groups, const Activations& x, int64_t rows,
                            const Activations& y) {
    const Floats one = Isa::Splat(1.0F);
    for (int64_t group = groups.begin; group < groups.end; ++group) {
      for (int64_t row = 0; row < rows; row += Isa::kTileRows) {
        ForRows<Isa::kTileRows>(
            rows - row, [&](auto count) __attribute__((always_inline)) {
              float gated[count][kGroup];
              for (int64_t half = 0; half < 2; ++half) {
                Floats gate[count];
                Floats up[count];
                const int64_t panel = 4 * group + 2 * half;
                MultiplyPanel<count>(gate_up, panel, x.Tile(row), row % kTileRows, gate);
                MultiplyPanel<count>(gate_up, panel + 1, x.Tile(row), row % kTileRows, up);
                for (int i = 0; i < count; ++i) {
                  const Floats divisor = Isa::Add(one, Exp(Isa::Sub(Isa::Splat(0), gate[i])));
                  Isa::Store(gated[i] + half * kLanes, Isa::Mul(Isa::Div(gate[i], divisor), up[i]));
                }
              }
              for (int i = 0; i < count; ++i) Put(gated[i], kGroup, row + i, group * kGroup, y);
            });
      }
    }
  }

  static void Rotate(const float* turns, int64_t width, float* head) {
    for (int64_t i = 0; i < width; i += kLanes) {
      Isa::Store(head + i, Isa::TurnPairs(Isa::Load(head + i), Isa::Load(turns + i)));
    }
  }

  static Floats LoadElements(const float* from) { return Isa::Load(from); }
  static Floats LoadElements(const uint16_t* from) { return Isa::LoadHalf(from); }
  static void StoreElements(float* to, Floats x) { Isa::Store(to, x); }
  static void StoreElements(uint16_t* to, Floats x) { Isa::StoreHalf(to, x); }

  template <class Element>
  static void StoreAs(const float* key, const float* value, int64_t position, const HeadCache& cache) {
    auto* keys = static_cast<Element*>(cache.keys) + position / kLanes * cache.width * kLanes + position % kLanes;
    auto* values = static_cast<Element*>(cache.values) + position * cache.width;
    for (int64_t i = 0; i < cache.width; i += kLanes) {
      Element converted[kLanes];
      StoreElements(converted, Isa::Load(key + i));
      for (int64_t lane = 0; lane < kLanes; ++lane) keys[(i + lane) * kLanes] = converted[lane];
      StoreElements(values + i, Isa::Load(value + i));
    }
  }

  static void Store(const float* key, const float* value, int64_t position, const HeadCache& cache) {
    if (cache.element == CacheElement::kF16) return StoreAs<uint16_t>(key, value, position, cache);
    StoreAs<float>(key, value, position, cache);
  }

  // Prefetches kVectors vectors.
  template <int kVectors, class Element>
  [[gnu::always_inline]] static void FetchVectors(const Element* from) {
    constexpr int kStep = 64 / sizeof(Element);
#pragma GCC unroll 4
    for (int64_t i = 0; i < kVectors * kLanes; i += kStep) Isa::Fetch(from + i);
  }

  // The scores of kHeads queries for kBlocks blocks of 16 positions, whose values will be needed next.
  template <int kHeads, int kBlocks, class Element>
  [[gnu::always_inline]] static void Score(const float* queries, int64_t width, const Element* keys,
                                           const Element* values, float scale, int64_t stride, float* scores,
                                           Floats* largest) {
    Floats sums[kHeads][kBlocks];
#pragma GCC unroll 4
    for (int head = 0; head < kHeads; ++head) {
#pragma GCC unroll 4
      for (int block = 0; block < kBlocks; ++block) sums[head][block] = Isa::Splat(0);
    }
    for (int64_t i = 0; i < width; ++i) {
      FetchVectors<kBlocks>(values + i * kBlocks * kLanes);
#pragma GCC unroll 4
      for (int block = 0; block < kBlocks; ++block) {
        const Floats elements = LoadElements(keys + (block * width + i) * kLanes);
#pragma GCC unroll 4
        for (int head = 0; head < kHeads; ++head) {
          sums[head][block] = Isa::MulAdd(elements, Isa::Splat(queries[head * width + i]), sums[head][block]);
        }
      }
    }
#pragma GCC unroll 4
    for (int head = 0; head < kHeads; ++head) {
#pragma GCC unroll 4
      for (int block = 0; block < kBlocks; ++block) {
        const Floats score = Isa::Mul(sums[head][block], Isa::Splat(scale));
        Isa::Store(scores + head * stride + block * kLanes, score);
        largest[head] = Isa::Max(largest[head], score);
      }
    }
  }

  // out[head] = sum of weights[head][position] * values[position], for kVectors * 16 elements of it.
  template <int kHeads, int kVectors, class Element>
  [[gnu::always_inline]] static void Weigh(const float* weights, int64_t stride, const Element* values, int64_t width,
                                           int64_t count, const float* factors, const Element* next, float* out) {
    Floats sums[kHeads][kVectors];
#pragma GCC unroll 4
    for (int head = 0; head < kHeads; ++head) {
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) sums[head][i] = Isa::Splat(0);
    }
    for (int64_t position = 0; position < count; ++position) {
      FetchVectors<kVectors>(next + position * width);
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        const Floats elements = LoadElements(values + position * width + i * kLanes);
#pragma GCC unroll 4
        for (int head = 0; head < kHeads; ++head) {
          sums[head][i] = Isa::MulAdd(elements, Isa::Splat(weights[head * stride + position]), sums[head][i]);
        }
      }
    }
#pragma GCC unroll 4
    for (int head = 0; head < kHeads; ++head) {
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) {
        Isa::Store(out + head * width + i * kLanes, Isa::Mul(sums[head][i], Isa::Splat(factors[head])));
      }
    }
  }

  template <int kHeads, class Element>
  static void AttendHeads(const float* queries, const HeadCache& cache, int64_t count, const void* next, float* scores,
                          float* out) {
    const auto* next_keys = static_cast<const Element*>(next);
    const auto* keys = static_cast<const Element*>(cache.keys);
    const auto* values = static_cast<const Element*>(cache.values);
    const int64_t width = cache.width;
    const int64_t blocks = (count + kLanes - 1) / kLanes;
    const int64_t stride = blocks * kLanes;
    const float scale = 1.0F / std::sqrt(static_cast<float>(width));
    Floats largest[kHeads];
    // In the block that extends beyond the last position, only the positions up to the last one count.
    Floats ignored[kHeads];
    for (int head = 0; head < kHeads; ++head) largest[head] = ignored[head] = Isa::Splat(-INFINITY);
    const int64_t full = count / kLanes;
    int64_t block = 0;
    for (; block + Isa::kScoreBlocks <= full; block += Isa::kScoreBlocks) {
      Score<kHeads, Isa::kScoreBlocks>(queries, width, keys + block * width * kLanes, values + block * width * kLanes,
                                       scale, stride, scores + block * kLanes, largest);
    }
    for (; block < blocks; ++block) {
      Score<kHeads, 1>(queries, width, keys + block * width * kLanes, values + block * width * kLanes, scale, stride,
                       scores + block * kLanes, block < full ? largest : ignored);
    }
    float factors[kHeads];
    for (int head = 0; head < kHeads; ++head) {
      float* row = scores + head * stride;
      for (int64_t i = count; i < stride; ++i) row[i] = -INFINITY;
      if (blocks > full) largest[head] = Isa::Max(largest[head], Isa::Load(row + full * kLanes));
      const Floats top = Isa::Splat(Isa::Largest(largest[head]));
      Floats sum = Isa::Splat(0);
      for (int64_t i = 0; i < stride; i += kLanes) {
        // Positions beyond the last one get exp(-87) of the largest weight, which is nothing beside it.
        const Floats weight = Exp(Isa::Sub(Isa::Load(row + i), top));
        Isa::Store(row + i, weight);
        sum = Isa::Add(sum, weight);
      }
      factors[head] = 1.0F / Isa::Sum(sum);
    }
    int64_t i = 0;
    for (; i + Isa::kValueVectors * kLanes <= width; i += Isa::kValueVectors * kLanes) {
      Weigh<kHeads, Isa::kValueVectors>(scores, stride, values + i, width, count, factors, next_keys + i, out + i);
    }
    for (; i < width; i += 2 * kLanes) {
      Weigh<kHeads, 2>(scores, stride, values + i, width, count, factors, next_keys + i, out + i);
    }
  }

  template <class Element>
  static void AttendTo(const float* queries, int64_t heads, const HeadCache& cache, int64_t count, const void* next,
                       float* scratch, float* out) {
    static_assert(Isa::kHeads <= kMaxHeadsAtOnce);
    for (int64_t head = 0; head < heads; head += Isa::kHeads) {
      ForRows<Isa::kHeads>(heads - head, [&](auto at_once) {
        AttendHeads<at_once, Element>(queries + head * cache.width, cache, count, next, scratch,
                                      out + head * cache.width);
      });
    }
  }

  static void Attend(const float* queries, int64_t heads, const HeadCache& cache, int64_t count, const void* next,
                     float* scratch, float* out) {
    if (cache.element == CacheElement::kF16)
      return AttendTo<uint16_t>(queries, heads, cache, count, next, scratch, out);
    AttendTo<float>(queries, heads, cache, count, next, scratch, out);
  }

  static constexpr Kernels kKernels = {Normalize, Put, Multiply, MultiplyGated, Rotate, Store, Attend};
};

}  // namespace
}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_KERNELS_IMPL_H_
