#ifndef PREDICTD_TESTS_KERNELS_DECODER_PARTS_H_
#define PREDICTD_TESTS_KERNELS_DECODER_PARTS_H_

#include <cstdint>
#include <vector>

#include "server/kernels/decoder_layer.h"
#include "tests/kernels/reference.h"
#include "tests/kernels/run_team.h"

namespace predictd {

struct DecoderShape {
  const char* name;
  int64_t width;
  int64_t head_width;
  int64_t kv_heads;
  // Query heads for each key head.
  int64_t group;
  int64_t feed_forward;
  bool bias;
  bool head_norms;
};

// Odd numbers of groups, of panels, and of heads at once.
inline constexpr DecoderShape kDecoderShapes[] = {
    {"llama", 96, 32, 1, 3, 160, false, false},
    {"qwen2", 64, 64, 2, 1, 96, true, false},
    {"qwen3", 96, 32, 2, 7, 64, false, true},
};

// How the rows of a run are cut into calls.
struct Calls {
  int64_t sequences = 1;
  // Tokens of each sequence in a call, at most.
  int64_t chunk = 1;
  int members = 1;
};

// Two layers with random weights, and a cache for 70 sequences.
class TestDecoder {
 public:
  static constexpr int64_t kPositions = 64;
  static constexpr int64_t kSlots = 70;

  TestDecoder(const DecoderShape& shape, WeightFormat format, CacheElement element);

  // For `rows` rows of x.
  std::vector<float> RandomTokens(int64_t rows, unsigned seed) const;

  // What both layers make of x, [sequences, length, width]. The sequences are in slots from `first_slot` on.
  std::vector<float> Run(const Kernels& kernels, const Calls& calls, const std::vector<float>& x,
                         int64_t first_slot = 0);
  // Of one sequence.
  std::vector<double> InDoublePrecision(const std::vector<float>& x) const;

 private:
  struct Layer {
    TestMatrix qkv;
    TestMatrix output;
    TestMatrix gate_up;
    TestMatrix down;
    std::vector<float> attention_norm;
    std::vector<float> feed_forward_norm;
    std::vector<float> bias;
    // Of queries, then of keys.
    std::vector<float> head_norms;
    std::vector<float> cache;
  };

  AttentionWeights Attention(const Layer& layer) const;
  FeedForwardWeights FeedForward(const Layer& layer) const;
  LayerCache Cache(Layer& layer) const;
  void Step(const Kernels& kernels, const Rows& rows, int members, float* x);
  void AttentionInDoublePrecision(const Layer& layer, std::vector<double>& x) const;
  void FeedForwardInDoublePrecision(const Layer& layer, std::vector<double>& x) const;

  const DecoderShape shape_;
  const CacheElement element_;
  const std::vector<float> turns_;
  std::vector<Layer> layers_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_KERNELS_DECODER_PARTS_H_
