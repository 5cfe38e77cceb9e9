#include "tests/kernels/decoder_parts.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace predictd {
namespace {

constexpr float kEpsilon = 1e-5F;
constexpr int kLayers = 2;

// A matrix in double precision.
class Values {
 public:
  explicit Values(const TestMatrix& matrix) : columns_(matrix.columns) {
    for (int64_t i = 0; i < matrix.rows * columns_; ++i) values_.push_back(matrix.Weight(i / columns_, i % columns_));
  }

  std::vector<double> Times(const double* x) const {
    std::vector<double> y(values_.size() / static_cast<size_t>(columns_));
    for (int64_t i = 0; i < static_cast<int64_t>(values_.size()); ++i) y[i / columns_] += values_[i] * x[i % columns_];
    return y;
  }

 private:
  const int64_t columns_;
  std::vector<double> values_;
};

std::vector<double> Normed(const double* x, const float* factors, int64_t count) {
  double squares = 0;
  for (int64_t i = 0; i < count; ++i) squares += x[i] * x[i];
  std::vector<double> y(x, x + count);
  for (int64_t i = 0; i < count; ++i) y[i] *= factors[i] / std::sqrt(squares / static_cast<double>(count) + kEpsilon);
  return y;
}

}  // namespace

TestDecoder::TestDecoder(const DecoderShape& shape, WeightFormat format, CacheElement element)
    : shape_(shape), element_(element), turns_(Turns(kPositions, shape.head_width)) {
  std::mt19937 random(7);
  const int64_t queries = shape.kv_heads * shape.group * shape.head_width;
  const int64_t keys = shape.kv_heads * shape.head_width;
  const auto factors = [&](int64_t count) {
    std::vector<float> result;
    for (int64_t i = 0; i < count; ++i) result.push_back(0.5F + static_cast<float>(random() % 100) / 100);
    return result;
  };
  for (int i = 0; i < kLayers; ++i) {
    Layer layer;
    layer.qkv = RandomMatrix(format, queries + 2 * keys, shape.width, random);
    layer.output = RandomMatrix(format, shape.width, queries, random);
    layer.gate_up = RandomMatrix(format, 2 * shape.feed_forward, shape.width, random);
    layer.down = RandomMatrix(format, shape.width, shape.feed_forward, random);
    layer.attention_norm = factors(shape.width);
    layer.feed_forward_norm = factors(shape.width);
    if (shape.bias) layer.bias = RandomFloats(layer.qkv.rows, random);
    if (shape.head_norms) layer.head_norms = factors(2 * shape.head_width);
    // Of halves, half of it is used. All bits set is no number in both.
    layer.cache.resize(static_cast<size_t>(kSlots * 2 * keys * kPositions), -NAN);
    layers_.push_back(std::move(layer));
  }
}

std::vector<float> TestDecoder::RandomTokens(int64_t rows, unsigned seed) const {
  std::mt19937 random(seed);
  return RandomFloats(rows * shape_.width, random);
}

std::vector<float> TestDecoder::Run(const Kernels& kernels, const Calls& calls, const std::vector<float>& x,
                                    int64_t first_slot) {
  const int64_t length = static_cast<int64_t>(x.size()) / shape_.width / calls.sequences;
  std::vector<float> result(x.size());
  for (int64_t begin = 0; begin < length; begin += calls.chunk) {
    const int64_t count = std::min(calls.chunk, length - begin);
    std::vector<float> rows;
    std::vector<int64_t> positions;
    const auto at = [&](int64_t sequence) { return (sequence * length + begin) * shape_.width; };
    for (int64_t i = 0; i < calls.sequences; ++i) {
      rows.insert(rows.end(), x.begin() + at(i), x.begin() + at(i) + count * shape_.width);
      for (int64_t token = 0; token < count; ++token) positions.push_back(begin + token);
    }
    Step(kernels,
         {.sequences = calls.sequences,
          .length = count,
          .positions = positions.data(),
          .first_slot = first_slot,
          .turns = turns_.data()},
         calls.members, rows.data());
    for (int64_t i = 0; i < calls.sequences; ++i) {
      std::copy_n(rows.begin() + i * count * shape_.width, count * shape_.width, result.begin() + at(i));
    }
  }
  return result;
}

std::vector<double> TestDecoder::InDoublePrecision(const std::vector<float>& x) const {
  std::vector<double> result(x.begin(), x.end());
  for (const Layer& layer : layers_) {
    AttentionInDoublePrecision(layer, result);
    FeedForwardInDoublePrecision(layer, result);
  }
  return result;
}

AttentionWeights TestDecoder::Attention(const Layer& layer) const {
  const bool norms = !layer.head_norms.empty();
  return {.norm = layer.attention_norm.data(),
          .qkv = layer.qkv.packed(),
          .bias = layer.bias.empty() ? nullptr : layer.bias.data(),
          .query_norm = norms ? layer.head_norms.data() : nullptr,
          .key_norm = norms ? layer.head_norms.data() + shape_.head_width : nullptr,
          .output = layer.output.packed()};
}

FeedForwardWeights TestDecoder::FeedForward(const Layer& layer) const {
  return {.norm = layer.feed_forward_norm.data(), .gate_up = layer.gate_up.packed(), .down = layer.down.packed()};
}

LayerCache TestDecoder::Cache(Layer& layer) const {
  return {.data = layer.cache.data(),
          .element = element_,
          .slots = kSlots,
          .kv_heads = shape_.kv_heads,
          .positions = kPositions,
          .head_width = shape_.head_width};
}

void TestDecoder::Step(const Kernels& kernels, const Rows& rows, int members, float* x) {
  const Decoding decoding{.kernels = &kernels, .rows = rows, .x = x, .width = shape_.width, .epsilon = kEpsilon};
  Scratch scratch;
  for (Layer& layer : layers_) {
    scratch.NeedAttention(decoding, Attention(layer), Cache(layer));
    scratch.NeedFeedForward(decoding, FeedForward(layer));
  }
  scratch.Allocate(members);
  const auto phases = static_cast<int64_t>(layers_.size()) * (kAttentionPhases + kFeedForwardPhases);
  RunTeam(members, phases, [&](Member& member) {
    for (Layer& layer : layers_) {
      RunAttention(decoding, Attention(layer), Cache(layer), scratch, member);
      RunFeedForward(decoding, FeedForward(layer), scratch, member);
    }
  });
}

void TestDecoder::AttentionInDoublePrecision(const Layer& layer, std::vector<double>& x) const {
  const int64_t heads = shape_.kv_heads * shape_.group;
  const int64_t width = shape_.head_width;
  const int64_t length = static_cast<int64_t>(x.size()) / shape_.width;
  const Values project(layer.qkv);
  const Values output(layer.output);
  std::vector<std::vector<double>> qkv;
  for (int64_t row = 0; row < length; ++row) {
    const std::vector<double> normed = Normed(&x[row * shape_.width], layer.attention_norm.data(), shape_.width);
    std::vector<double> all = project.Times(normed.data());
    for (size_t i = 0; i < layer.bias.size(); ++i) all[i] += layer.bias[i];
    for (int64_t head = 0; head < heads + shape_.kv_heads; ++head) {
      double* of = &all[head * width];
      if (!layer.head_norms.empty()) {
        const float* factors = layer.head_norms.data() + (head < heads ? 0 : width);
        const std::vector<double> y = Normed(of, factors, width);
        std::copy(y.begin(), y.end(), of);
      }
      for (int64_t i = 0; i < width; i += 2) {
        const double cosine = turns_[row * width + i];
        const double sine = turns_[row * width + i + 1];
        const double first = of[i];
        of[i] = first * cosine - of[i + 1] * sine;
        of[i + 1] = first * sine + of[i + 1] * cosine;
      }
    }
    qkv.push_back(std::move(all));
  }
  for (int64_t row = 0; row < length; ++row) {
    std::vector<double> attended(static_cast<size_t>(heads * width));
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t key = (heads + head / shape_.group) * width;
      std::vector<double> weights;
      for (int64_t position = 0; position <= row; ++position) {
        double score = 0;
        for (int64_t i = 0; i < width; ++i) score += qkv[row][head * width + i] * qkv[position][key + i];
        weights.push_back(score / std::sqrt(static_cast<double>(width)));
      }
      const double top = *std::max_element(weights.begin(), weights.end());
      double sum = 0;
      for (double& weight : weights) sum += weight = std::exp(weight - top);
      for (int64_t position = 0; position <= row; ++position) {
        const double* value = &qkv[position][key + shape_.kv_heads * width];
        for (int64_t i = 0; i < width; ++i) attended[head * width + i] += weights[position] / sum * value[i];
      }
    }
    const std::vector<double> added = output.Times(attended.data());
    for (int64_t i = 0; i < shape_.width; ++i) x[row * shape_.width + i] += added[i];
  }
}

void TestDecoder::FeedForwardInDoublePrecision(const Layer& layer, std::vector<double>& x) const {
  const Values gate_up(layer.gate_up);
  const Values down(layer.down);
  for (int64_t row = 0; row < static_cast<int64_t>(x.size()) / shape_.width; ++row) {
    double* of = &x[row * shape_.width];
    const std::vector<double> normed = Normed(of, layer.feed_forward_norm.data(), shape_.width);
    const std::vector<double> products = gate_up.Times(normed.data());
    std::vector<double> gated;
    for (int64_t i = 0; i < shape_.feed_forward; ++i) {
      const int64_t gate = i / kPanelRows * 2 * kPanelRows + i % kPanelRows;
      gated.push_back(products[gate] / (1 + std::exp(-products[gate])) * products[gate + kPanelRows]);
    }
    const std::vector<double> added = down.Times(gated.data());
    for (int64_t i = 0; i < shape_.width; ++i) of[i] += added[i];
  }
}

}  // namespace predictd
