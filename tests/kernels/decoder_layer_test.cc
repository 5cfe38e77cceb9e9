// The blocks of a decoder, against double precision.
#include "server/kernels/decoder_layer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "tests/kernels/decoder_parts.h"
#include "tests/kernels/kernel_set_fixture.h"
#include "tests/kernels/reference.h"

namespace predictd {
namespace {

class DecoderLayerTest : public KernelSetTest {};

INSTANTIATE_TEST_SUITE_P(AllSets, DecoderLayerTest, EachKernelSet(), ParameterName);

constexpr int64_t kTokens = 21;

// How far two rows are apart, relative to what the blocks have added to `before`.
double Distance(const std::vector<float>& got, const std::vector<double>& expected, const std::vector<float>& before) {
  double apart = 0;
  double added = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    apart += (got[i] - expected[i]) * (got[i] - expected[i]);
    added += (expected[i] - before[i]) * (expected[i] - before[i]);
  }
  return std::sqrt(apart / added);
}

TEST_P(DecoderLayerTest, BlocksAreAsInDoublePrecision) {
  for (const DecoderShape& shape : kDecoderShapes) {
    for (const WeightFormat format : kAllFormats) {
      TestDecoder decoder(shape, format, CacheElement::kF32);
      const std::vector<float> x = decoder.RandomTokens(kTokens, 1);
      const std::vector<double> expected = decoder.InDoublePrecision(x);
      const std::vector<float> got = decoder.Run(kernels(), {.sequences = 1, .chunk = kTokens}, x);
      // Numbers of 8 bits are off by a 300th of the largest of their group: more than all else.
      const double tolerance = format == WeightFormat::kF16 ? 1e-5 : 0.02;
      EXPECT_LT(Distance(got, expected, x), tolerance) << shape.name << " " << NameOf(format);
    }
  }
}

TEST_P(DecoderLayerTest, ACacheOfHalvesIsNearlyAsGood) {
  for (const DecoderShape& shape : kDecoderShapes) {
    TestDecoder decoder(shape, WeightFormat::kF16, CacheElement::kF16);
    const std::vector<float> x = decoder.RandomTokens(kTokens, 2);
    const std::vector<float> got = decoder.Run(kernels(), {.sequences = 1, .chunk = kTokens}, x);
    EXPECT_LT(Distance(got, decoder.InDoublePrecision(x), x), 1e-3) << shape.name;
  }
}

TEST_P(DecoderLayerTest, ALinearLayerIsAsInDoublePrecision) {
  std::mt19937 random(3);
  for (const WeightFormat format : kAllFormats) {
    for (const bool normed : {false, true}) {
      const TestMatrix matrix = RandomMatrix(format, 48, 96, random);
      const std::vector<float> x = RandomFloats(int64_t{9} * 96, random);
      const std::vector<float> norm = RandomFloats(96, random);
      std::vector<float> y(size_t{9} * 48);
      Scratch scratch;
      scratch.NeedLinear(9, matrix.packed());
      scratch.Allocate(2);
      RunTeam(2, kLinearPhases, [&](Member& member) {
        RunLinear(kernels(), x.data(), 9, normed ? norm.data() : nullptr, 1e-5F, matrix.packed(), y.data(), scratch,
                  member);
      });
      for (int64_t row = 0; row < 9; ++row) {
        std::vector<float> input(x.begin() + row * 96, x.begin() + (row + 1) * 96);
        if (normed) kernels().normalize(input.data(), norm.data(), 1e-5F, 96, input.data());
        const std::vector<Expected> expected = Multiply(matrix, input.data());
        for (int64_t i = 0; i < 48; ++i) ASSERT_NEAR(y[row * 48 + i], expected[i].value, expected[i].tolerance);
      }
    }
  }
}

}  // namespace
}  // namespace predictd
