#include "tests/kernels/reference.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>

namespace predictd {
namespace {

// How much rounding to a float can change it.
constexpr double kRounding = 0x1p-24;

uint16_t RandomHalf(std::mt19937& random, Edge edge, float deviation) {
  std::normal_distribution<float> normal(0, deviation);
  switch (edge) {
    case Edge::kZeros:
      return 0;
    case Edge::kDenormals:
      return static_cast<uint16_t>(random() % 0x3ff + 1);
    case Edge::kSaturated:
      return HalfBits(1);
    case Edge::kHuge:
      return random() % 2 == 0 ? 0x7bff : 0xfbff;
    case Edge::kTiny:
      return random() % 2 == 0 ? 0x0400 : 0x8400;
    case Edge::kNone:
    case Edge::kEqual:
      break;
  }
  return HalfBits(normal(random));
}

int Quant(WeightFormat format, std::mt19937& random, Edge edge, int64_t row) {
  const bool q4 = format == WeightFormat::kQ4;
  if (edge == Edge::kSaturated) return q4 ? 15 : row % 2 == 0 ? -128 : 127;
  const int any = static_cast<int>(random() % (q4 ? 16 : 256));
  return q4 ? any : any - 128;
}

std::vector<QuantizedGroup> QuantizeRow(const float* x, int64_t columns) {
  std::vector<QuantizedGroup> groups;
  for (int64_t i = 0; i < columns; i += kGroup) groups.push_back(Quantize(x + i));
  return groups;
}

}  // namespace

const char* NameOf(WeightFormat format) {
  return format == WeightFormat::kQ4 ? "q4" : format == WeightFormat::kQ8 ? "q8" : "f16";
}

uint16_t HalfBits(float x) {
  const auto half = static_cast<_Float16>(x);
  uint16_t bits;
  std::memcpy(&bits, &half, sizeof(bits));
  return bits;
}

double HalfValue(uint16_t bits) {
  _Float16 half;
  std::memcpy(&half, &bits, sizeof(half));
  return static_cast<double>(half);
}

double TestMatrix::Weight(int64_t row, int64_t column) const {
  const int quant = quants[row * columns + column];
  if (format == WeightFormat::kF16) return HalfValue(static_cast<uint16_t>(quant));
  const int64_t group = (row * columns + column) / kGroup;
  const double minimum = format == WeightFormat::kQ4 ? HalfValue(minima[group]) : 0;
  return quant * HalfValue(scales[group]) + minimum;
}

TestMatrix RandomMatrix(WeightFormat format, int64_t rows, int64_t columns, std::mt19937& random, Edge edge) {
  TestMatrix matrix;
  matrix.format = format;
  matrix.rows = rows;
  matrix.columns = columns;
  for (int64_t i = 0; i < rows * columns; ++i) {
    if (edge == Edge::kEqual && i % kGroup != 0) {
      matrix.quants.push_back(matrix.quants.back());
    } else if (format == WeightFormat::kF16) {
      matrix.quants.push_back(RandomHalf(random, edge, 0.1F));
    } else {
      matrix.quants.push_back(Quant(format, random, edge, i / columns));
    }
  }
  for (int64_t i = 0; i < rows * columns / kGroup; ++i) {
    matrix.scales.push_back(RandomHalf(random, edge, format == WeightFormat::kQ4 ? 0.01F : 0.0015F));
    matrix.minima.push_back(RandomHalf(random, edge, 0.05F));
  }
  matrix.bytes.resize(static_cast<size_t>(rows / kPanelRows * PanelBytes(format, columns)));
  if (format == WeightFormat::kF16) {
    const std::vector<uint16_t> halves(matrix.quants.begin(), matrix.quants.end());
    PackF16(halves.data(), rows, columns, matrix.bytes.data());
  } else if (format == WeightFormat::kQ8) {
    const std::vector<int8_t> quants(matrix.quants.begin(), matrix.quants.end());
    PackQ8(quants.data(), matrix.scales.data(), rows, columns, matrix.bytes.data());
  } else {
    const std::vector<uint8_t> quants(matrix.quants.begin(), matrix.quants.end());
    PackQ4(quants.data(), matrix.scales.data(), matrix.minima.data(), rows, columns, matrix.bytes.data());
  }
  return matrix;
}

std::vector<float> RandomFloats(int64_t count, std::mt19937& random, Edge edge) {
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(count));
  float magnitude = 1;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool first = i % kGroup == 0;
    if (first) magnitude = std::exp2(normal(random) * 2);
    const float any = normal(random);
    switch (edge) {
      case Edge::kZeros:
        break;
      case Edge::kDenormals:
        x[i] = any * 1e-40F;
        break;
      case Edge::kSaturated:
        x[i] = any < 0 ? -3 : 3;
        break;
      case Edge::kEqual:
        x[i] = first ? any : x[i - 1];
        break;
      case Edge::kHuge:
        x[i] = any * 1e28F;
        break;
      case Edge::kTiny:
        x[i] = any * 1e-33F;
        break;
      case Edge::kNone:
        x[i] = any * magnitude;
        break;
    }
  }
  return x;
}

TestActivations::TestActivations(int64_t rows, int64_t columns, WeightFormat format)
    : bytes_(static_cast<size_t>(Activations::Bytes(rows, columns, Activations::QuantizedFor(format))), 0xff),
      activations_{.data = bytes_.data(), .columns = columns, .quantized = Activations::QuantizedFor(format)} {}

TestActivations::TestActivations(const Kernels& kernels, const std::vector<float>& x, int64_t columns,
                                 WeightFormat format)
    : TestActivations(static_cast<int64_t>(x.size()) / columns, columns, format) {
  for (int64_t row = 0; row < static_cast<int64_t>(x.size()) / columns; ++row) {
    kernels.put(x.data() + row * columns, columns, row, 0, activations_);
  }
}

QuantizedGroup GroupOf(const Activations& activations, int64_t row, int64_t group) {
  const uint8_t* from = activations.Tile(row) + group * Activations::kGroupBytes;
  const int64_t lane = row % kTileRows;
  QuantizedGroup result;
  std::memcpy(&result.scale, from + lane * 4, 4);
  std::memcpy(&result.sum, from + Activations::kSums + lane * 4, 4);
  for (int64_t i = 0; i < kGroup; ++i) {
    result.quants.push_back(static_cast<int8_t>(from[Activations::kQuants + lane * kGroup + i]));
  }
  return result;
}

QuantizedGroup Quantize(const float* x) {
  float largest = 0;
  for (int64_t i = 0; i < kGroup; ++i) largest = std::max(largest, std::abs(x[i]));
  QuantizedGroup group;
  group.quants.resize(kGroup);
  // Too little to be divided by.
  if (largest < FLT_MIN * 128) return group;
  group.scale = largest / 127;
  for (int64_t i = 0; i < kGroup; ++i) {
    group.quants[i] = static_cast<int>(std::lrint(x[i] * (127 / largest)));
    group.sum += static_cast<float>(group.quants[i]);
  }
  return group;
}

std::vector<Expected> Multiply(const TestMatrix& matrix, const float* x) {
  std::vector<Expected> y(static_cast<size_t>(matrix.rows));
  const int64_t groups = matrix.columns / kGroup;
  const std::vector<QuantizedGroup> rounded = QuantizeRow(x, matrix.columns);
  for (int64_t row = 0; row < matrix.rows; ++row) {
    double value = 0;
    double magnitude = 0;
    for (int64_t group = 0; group < groups; ++group) {
      const int* quants = matrix.quants.data() + row * matrix.columns + group * kGroup;
      if (matrix.format == WeightFormat::kF16) {
        for (int64_t i = 0; i < kGroup; ++i) {
          const double product = HalfValue(static_cast<uint16_t>(quants[i])) * x[group * kGroup + i];
          value += product;
          magnitude += std::abs(product);
        }
        continue;
      }
      const QuantizedGroup& of_x = rounded[group];
      double product = 0;
      for (int64_t i = 0; i < kGroup; ++i) product += quants[i] * of_x.quants[i];
      product *= HalfValue(matrix.scales[row * groups + group]) * of_x.scale;
      double offset = 0;
      if (matrix.format == WeightFormat::kQ4) {
        offset = HalfValue(matrix.minima[row * groups + group]) * of_x.sum * of_x.scale;
      }
      value += product + offset;
      magnitude += std::abs(product) + std::abs(offset);
    }
    // Of each addition, and of a few multiplications. Denormal floats are not as exact.
    const auto additions = static_cast<double>(matrix.format == WeightFormat::kF16 ? matrix.columns : groups);
    y[row] = {value, magnitude * (additions + 5) * kRounding + additions * 8 * FLT_TRUE_MIN};
  }
  return y;
}

std::vector<Expected> MultiplyUnrounded(const TestMatrix& matrix, const float* x) {
  std::vector<Expected> y = Multiply(matrix, x);
  const std::vector<QuantizedGroup> rounded = QuantizeRow(x, matrix.columns);
  for (int64_t row = 0; row < matrix.rows; ++row) {
    double value = 0;
    double off = 0;
    for (int64_t i = 0; i < matrix.columns; ++i) {
      const double weight = matrix.Weight(row, i);
      value += weight * x[i];
      if (matrix.format == WeightFormat::kF16) continue;
      // What is too small for a scale becomes zero.
      const float scale = rounded[i / kGroup].scale;
      off += std::abs(weight) * (scale == 0 ? std::abs(x[i]) : 0.50001 * scale);
    }
    y[row] = {value, y[row].tolerance + off};
  }
  return y;
}

std::vector<double> Normalize(const float* x, const float* factors, double epsilon, int64_t count) {
  double squares = 0;
  for (int64_t i = 0; i < count; ++i) squares += double{x[i]} * x[i];
  const double divisor = std::sqrt(squares / static_cast<double>(count) + epsilon);
  std::vector<double> y;
  for (int64_t i = 0; i < count; ++i) y.push_back(x[i] / divisor * factors[i]);
  return y;
}

std::vector<Expected> Attend(const float* query, const std::vector<double>& keys, const std::vector<double>& values,
                             int64_t count, int64_t width) {
  std::vector<double> scores;
  double largest_magnitude = 0;
  for (int64_t position = 0; position < count; ++position) {
    double score = 0;
    double magnitude = 0;
    for (int64_t i = 0; i < width; ++i) {
      const double product = query[i] * keys[position * width + i] / std::sqrt(static_cast<double>(width));
      score += product;
      magnitude += std::abs(product);
    }
    scores.push_back(score);
    largest_magnitude = std::max(largest_magnitude, magnitude);
  }
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - top);
  // What a score is off by is what its weight and the sum of all are off by, relatively.
  const double off = 2 * largest_magnitude * static_cast<double>(width + 4) * kRounding +
                     static_cast<double>(2 * count + 16) * kRounding;
  std::vector<Expected> out(static_cast<size_t>(width));
  for (int64_t i = 0; i < width; ++i) {
    double magnitude = 0;
    for (int64_t position = 0; position < count; ++position) {
      const double term = scores[position] / sum * values[position * width + i];
      out[i].value += term;
      magnitude += std::abs(term);
    }
    // Weights below exp(-87) are rounded up to it.
    out[i].tolerance = magnitude * off + 1e-30;
  }
  return out;
}

std::vector<float> Turns(int64_t positions, int64_t width) {
  std::vector<float> turns;
  for (int64_t position = 0; position < positions; ++position) {
    for (int64_t pair = 0; pair < width / 2; ++pair) {
      const double angle =
          static_cast<double>(position) * std::pow(1e4, -2.0 * static_cast<double>(pair) / static_cast<double>(width));
      turns.push_back(static_cast<float>(std::cos(angle)));
      turns.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return turns;
}

}  // namespace predictd
