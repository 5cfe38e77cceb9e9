// What a decoder makes of a sequence depends on nothing else, bit for bit: not on what runs beside it, how its tokens
// are cut into calls, or how many threads there are.
#include <gtest/gtest.h>

#include <vector>

#include "server/kernels/kernels.h"
#include "tests/kernels/decoder_parts.h"
#include "tests/kernels/kernel_set_fixture.h"
#include "tests/kernels/reference.h"

namespace predictd {
namespace {

class BatchInvarianceTest : public KernelSetTest {
 protected:
  // Each sequence alone, a token at a time, on one thread.
  std::vector<float> Alone(TestDecoder& decoder, const std::vector<float>& x, int64_t sequences) const {
    const auto each = static_cast<int64_t>(x.size()) / sequences;
    std::vector<float> result;
    for (int64_t i = 0; i < sequences; ++i) {
      const std::vector<float> of(x.begin() + i * each, x.begin() + (i + 1) * each);
      const std::vector<float> alone = decoder.Run(kernels(), {.sequences = 1, .chunk = 1, .members = 1}, of);
      result.insert(result.end(), alone.begin(), alone.end());
    }
    return result;
  }
};

INSTANTIATE_TEST_SUITE_P(AllSets, BatchInvarianceTest, EachKernelSet(), ParameterName);

TEST_P(BatchInvarianceTest, AnyNumberOfSequencesRunTogether) {
  constexpr int64_t kMost = 64;
  constexpr int64_t kTokens = 2;
  for (const WeightFormat format : kAllFormats) {
    TestDecoder decoder(kDecoderShapes[0], format, CacheElement::kF16);
    const std::vector<float> x = decoder.RandomTokens(kMost * kTokens, 1);
    const std::vector<float> alone = Alone(decoder, x, kMost);
    const int64_t each = static_cast<int64_t>(x.size()) / kMost;
    for (const int64_t sequences : {2, 3, 4, 5, 7, 8, 9, 17, 33, 64}) {
      const std::vector<float> some(x.begin(), x.begin() + sequences * each);
      const std::vector<float> got = decoder.Run(kernels(), {.sequences = sequences}, some, kMost - sequences);
      ASSERT_TRUE(SameBits(got, {alone.begin(), alone.begin() + sequences * each}))
          << sequences << " sequences, " << NameOf(format);
    }
  }
}

TEST_P(BatchInvarianceTest, PromptsMayBeCutAnywhere) {
  constexpr int64_t kSequences = 2;
  for (const DecoderShape& shape : kDecoderShapes) {
    for (const CacheElement element : {CacheElement::kF16, CacheElement::kF32}) {
      TestDecoder decoder(shape, WeightFormat::kQ4, element);
      const std::vector<float> x = decoder.RandomTokens(kSequences * 40, 2);
      const std::vector<float> alone = Alone(decoder, x, kSequences);
      for (const int64_t chunk : {1, 3, 16, 17, 40}) {
        const std::vector<float> got = decoder.Run(kernels(), {.sequences = kSequences, .chunk = chunk}, x, 3);
        ASSERT_TRUE(SameBits(got, alone)) << shape.name << ", " << chunk << " tokens at a time";
      }
    }
  }
}

TEST_P(BatchInvarianceTest, AnyNumberOfThreadsGiveTheSame) {
  constexpr int64_t kSequences = 5;
  constexpr int64_t kTokens = 4;
  for (const DecoderShape& shape : kDecoderShapes) {
    for (const WeightFormat format : kAllFormats) {
      TestDecoder decoder(shape, format, CacheElement::kF16);
      const std::vector<float> x = decoder.RandomTokens(kSequences * kTokens, 3);
      const std::vector<float> alone = Alone(decoder, x, kSequences);
      for (const int members : {1, 2, 3, 7}) {
        const Calls calls{.sequences = kSequences, .chunk = 3, .members = members};
        ASSERT_TRUE(SameBits(decoder.Run(kernels(), calls, x, 1), alone))
            << shape.name << " " << NameOf(format) << ", " << members << " threads";
      }
    }
  }
}

}  // namespace
}  // namespace predictd
