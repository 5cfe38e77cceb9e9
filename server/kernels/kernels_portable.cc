// For any processor: plain loops over 16 lanes, which the compiler turns into whatever vectors there are.
#include "server/kernels/kernels_impl.h"

namespace predictd {
namespace {

struct Portable {
  static constexpr int kTileRows = 4;
  static constexpr int kHeads = 2;
  static constexpr int kScoreBlocks = 1;
  static constexpr int kValueVectors = 2;

  struct Floats {
    float lanes[kLanes];
  };

  static Floats Splat(float x) {
    return Each([&](int) { return x; });
  }
  static Floats Load(const float* from) {
    return Each([&](int i) { return from[i]; });
  }
  static Floats LoadHalf(const void* from) {
    _Float16 halves[kLanes];
    std::memcpy(halves, from, sizeof(halves));
    return Each([&](int i) { return static_cast<float>(halves[i]); });
  }
  static void Store(float* to, const Floats& x) { std::memcpy(to, x.lanes, sizeof(x.lanes)); }
  static void StoreHalf(void* to, const Floats& x) {
    _Float16 halves[kLanes];
    for (int i = 0; i < kLanes; ++i) halves[i] = static_cast<_Float16>(x.lanes[i]);
    std::memcpy(to, halves, sizeof(halves));
  }
  static void Fetch(const void* from) { __builtin_prefetch(from); }
  [[gnu::always_inline]] static void FetchWeights(const uint8_t* /*from*/) {}
  static Floats RepeatFloat(const uint8_t* from) {
    float x;
    std::memcpy(&x, from, sizeof(x));
    return Splat(x);
  }
  static Floats Add(const Floats& a, const Floats& b) {
    return Each([&](int i) { return a.lanes[i] + b.lanes[i]; });
  }
  static Floats Sub(const Floats& a, const Floats& b) {
    return Each([&](int i) { return a.lanes[i] - b.lanes[i]; });
  }
  static Floats Mul(const Floats& a, const Floats& b) {
    return Each([&](int i) { return a.lanes[i] * b.lanes[i]; });
  }
  static Floats Div(const Floats& a, const Floats& b) {
    return Each([&](int i) { return a.lanes[i] / b.lanes[i]; });
  }
  static Floats Max(const Floats& a, const Floats& b) {
    return Each([&](int i) { return a.lanes[i] > b.lanes[i] ? a.lanes[i] : b.lanes[i]; });
  }
  static Floats Min(const Floats& a, const Floats& b) {
    return Each([&](int i) { return a.lanes[i] < b.lanes[i] ? a.lanes[i] : b.lanes[i]; });
  }
  static Floats MulAdd(const Floats& a, const Floats& b, const Floats& c) {
    return Each([&](int i) { return a.lanes[i] * b.lanes[i] + c.lanes[i]; });
  }
  static Floats TurnPairs(const Floats& x, const Floats& turns) {
    Floats result;
    for (int i = 0; i < kLanes; i += 2) {
      const float cosine = turns.lanes[i];
      const float sine = turns.lanes[i + 1];
      result.lanes[i] = x.lanes[i] * cosine - x.lanes[i + 1] * sine;
      result.lanes[i + 1] = x.lanes[i] * sine + x.lanes[i + 1] * cosine;
    }
    return result;
  }
  static float Sum(Floats x) {
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) x.lanes[i] += x.lanes[i + half];
    }
    return x.lanes[0];
  }
  static float Largest(const Floats& x) {
    float largest = x.lanes[0];
    for (int i = 1; i < kLanes; ++i) largest = largest > x.lanes[i] ? largest : x.lanes[i];
    return largest;
  }
  static float LargestMagnitude(const Floats& a, const Floats& b) {
    // Compares as integers, in which NaN is larger than infinity, and infinity larger than all others.
    uint32_t largest = 0;
    for (const Floats* x : {&a, &b}) {
      for (const float lane : x->lanes) {
        const uint32_t bits = Bits(lane) & 0x7fffffffU;
        largest = largest > bits ? largest : bits;
      }
    }
    return FromBits(largest);
  }
  static Floats PowerOfTwo(const Floats& x) {
    return Each([&](int i) { return FromBits((Bits(x.lanes[i]) << 23U) + 0x3f800000U); });
  }
  static int Quantize(const Floats& a, const Floats& b, float factor, uint8_t* to) {
    int sum = 0;
    for (int i = 0; i < kGroup; ++i) {
      const float scaled = (i < kLanes ? a.lanes[i] : b.lanes[i - kLanes]) * factor;
      // NaN cannot be converted to an integer.
      const int quant = std::isnan(scaled) ? 0 : static_cast<int>(std::lrint(scaled));
      to[i] = static_cast<uint8_t>(static_cast<int8_t>(quant));
      sum += quant;
    }
    return sum;
  }

  template <int kRows>
  static void MultiplyQ4(const uint8_t* weights, int64_t groups, const uint8_t* tile, int64_t row,
                         Floats (&results)[kRows]) {
    for (int64_t group = 0; group < groups; ++group) {
      const uint8_t* quants = weights + 64;
      AddGroup<kRows>(
          LoadHalf(weights), LoadHalf(weights + 32), tile + group * Activations::kGroupBytes, row,
          [&](const uint8_t* bytes) { return ProductQ4(quants, bytes); }, results);
      weights += 320;
    }
  }
  template <int kRows>
  static void MultiplyQ8(const uint8_t* panel, int64_t groups, const uint8_t* tile, int64_t row,
                         Floats (&results)[kRows]) {
    const uint8_t* quants = panel + (groups + 1) / 2 * 64;
    for (int64_t group = 0; group < groups; ++group) {
      AddGroup<kRows>(
          LoadHalf(panel + group * 32), Splat(0), tile + group * Activations::kGroupBytes, row,
          [&](const uint8_t* bytes) { return ProductQ8(quants, bytes); }, results);
      quants += 512;
    }
  }

 private:
  template <class Make>
  [[gnu::always_inline]] static Floats Each(Make make) {
    Floats result;
    for (int i = 0; i < kLanes; ++i) result.lanes[i] = make(i);
    return result;
  }
  static uint32_t Bits(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    return bits;
  }
  static float FromBits(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof(x));
    return x;
  }

  // Adds the products of a group, whose quants `product` multiplies with the bytes of a row.
  template <int kRows, class Product>
  [[gnu::always_inline]] static void AddGroup(const Floats& scale, const Floats& minimum, const uint8_t* x, int64_t row,
                                              Product product, Floats (&results)[kRows]) {
    for (int i = 0; i < kRows; ++i) {
      const Floats offset = Mul(minimum, RepeatFloat(x + Activations::kSums + (row + i) * 4));
      const Floats sum = MulAdd(scale, product(x + Activations::kQuants + (row + i) * kGroup), offset);
      results[i] = MulAdd(sum, RepeatFloat(x + (row + i) * 4), results[i]);
    }
  }

  static int Signed(uint8_t byte) { return byte < 128 ? byte : byte - 256; }

  // Four bits times eight bits: a lane's products are added up in four parts, of which each fits into 16 bits.
  static Floats ProductQ4(const uint8_t* weights, const uint8_t* bytes) {
    int16_t parts[4 * kLanes] = {};
    for (int first = 0; first < kGroup / 2; first += 4) {
      int16_t low[kLanes];
      int16_t high[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        low[i] = static_cast<int16_t>(Signed(bytes[first + i % 4]));
        high[i] = static_cast<int16_t>(Signed(bytes[kGroup / 2 + first + i % 4]));
      }
      for (int part = 0; part < 4 * kLanes; part += kLanes) {
        for (int i = 0; i < kLanes; ++i) {
          const int both = weights[kLanes * first + part + i];
          parts[part + i] = static_cast<int16_t>(parts[part + i] + (both & 15) * low[i] + (both >> 4) * high[i]);
        }
      }
    }
    return Each([&](int i) {
      const int16_t* four = &parts[ptrdiff_t{4} * i];
      return static_cast<float>(four[0] + four[1] + four[2] + four[3]);
    });
  }

  static Floats ProductQ8(const uint8_t* weights, const uint8_t* bytes) {
    int sums[kLanes] = {};
    for (int i = 0; i < kGroup; ++i) {
      const int x = Signed(bytes[i]);
      for (int lane = 0; lane < kLanes; ++lane) {
        sums[lane] += Signed(weights[i / 4 * 64 + lane * 4 + i % 4]) * x;
      }
    }
    return Each([&](int i) { return static_cast<float>(sums[i]); });
  }
};

}  // namespace

const Kernels kPortableKernels = KernelsOf<Portable>::kKernels;

}  // namespace predictd
