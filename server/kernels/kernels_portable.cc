// For any processor: plain loops over 16 lanes, which the compiler turns into what vectors there are.
#include "server/kernels/kernels_impl.h"

namespace predictd {
namespace {

struct Portable {
  static constexpr const char* kName = "portable";
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
    // As integers: so NaN is more than infinity, and that more than all others.
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
      // NaN cannot be converted.
      const int quant = std::isnan(scaled) ? 0 : static_cast<int>(std::lrint(scaled));
      to[i] = static_cast<uint8_t>(static_cast<int8_t>(quant));
      sum += quant;
    }
    return sum;
  }

  template <int kRows>
  static void Multiply(const PackedMatrix& matrix, int64_t panel, const uint8_t* tile, int64_t row, Floats* sums) {
    const uint8_t* weights = matrix.Panel(panel);
    for (int i = 0; i < kRows; ++i) sums[i] = Splat(0);
    for (int64_t group = 0; group < matrix.groups(); ++group) {
      if (matrix.format == WeightFormat::kF16) {
        MultiplyF16<kRows>(weights + group * 1024, tile + (group * kGroup * predictd::kTileRows + row) * 4, sums);
        continue;
      }
      const bool q4 = matrix.format == WeightFormat::kQ4;
      const uint8_t* quants = q4 ? weights + group * 320 + 64 : weights + (matrix.groups() + 1) / 2 * 64 + group * 512;
      const Floats scale = LoadHalf(q4 ? weights + group * 320 : weights + group * 32);
      const Floats minimum = q4 ? LoadHalf(weights + group * 320 + 32) : Splat(0);
      const uint8_t* x = tile + group * Activations::kGroupBytes;
      for (int i = 0; i < kRows; ++i) {
        const uint8_t* bytes = x + Activations::kQuants + (row + i) * kGroup;
        const Floats product = q4 ? ProductQ4(quants, bytes) : ProductQ8(quants, bytes);
        const Floats sum = MulAdd(scale, product, Mul(minimum, RepeatFloat(x + Activations::kSums + (row + i) * 4)));
        sums[i] = MulAdd(sum, RepeatFloat(x + (row + i) * 4), sums[i]);
      }
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
  static Floats RepeatFloat(const uint8_t* from) {
    float x;
    std::memcpy(&x, from, sizeof(x));
    return Splat(x);
  }

  static int Signed(uint8_t byte) { return byte < 128 ? byte : byte - 256; }

  static Floats ProductQ4(const uint8_t* weights, const uint8_t* bytes) {
    int sums[kLanes] = {};
    for (int i = 0; i < kGroup / 2; ++i) {
      const int low = Signed(bytes[i]);
      const int high = Signed(bytes[kGroup / 2 + i]);
      for (int lane = 0; lane < kLanes; ++lane) {
        const int both = weights[i / 4 * 64 + lane * 4 + i % 4];
        sums[lane] += (both & 15) * low + (both >> 4) * high;
      }
    }
    return Each([&](int i) { return static_cast<float>(sums[i]); });
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

  template <int kRows>
  static void MultiplyF16(const uint8_t* weights, const uint8_t* floats, Floats* sums) {
    for (int64_t column = 0; column < kGroup; ++column) {
      const Floats weight = LoadHalf(weights + column * 32);
      for (int i = 0; i < kRows; ++i) {
        sums[i] = MulAdd(weight, RepeatFloat(floats + (column * predictd::kTileRows + i) * 4), sums[i]);
      }
    }
  }
};

}  // namespace

const Kernels kPortableKernels = KernelsOf<Portable>::kKernels;

}  // namespace predictd
