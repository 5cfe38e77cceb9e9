#ifndef PREDICTD_TESTS_KERNELS_REFERENCE_H_
#define PREDICTD_TESTS_KERNELS_REFERENCE_H_

#include <cstdint>
#include <random>
#include <vector>

#include "server/kernels/activations.h"
#include "server/kernels/kernels.h"
#include "server/kernels/packed_matrix.h"

namespace predictd {

inline constexpr WeightFormat kAllFormats[] = {WeightFormat::kQ4, WeightFormat::kQ8, WeightFormat::kF16};
const char* NameOf(WeightFormat format);

uint16_t HalfBits(float x);
double HalfValue(uint16_t bits);

// What is special about numbers.
enum class Edge { kNone, kZeros, kDenormals, kSaturated, kEqual, kHuge, kTiny };
inline constexpr Edge kAllEdges[] = {Edge::kNone,  Edge::kZeros, Edge::kDenormals, Edge::kSaturated,
                                     Edge::kEqual, Edge::kHuge,  Edge::kTiny};

// A matrix as it is packed, and what was packed.
struct TestMatrix {
  WeightFormat format = WeightFormat::kQ4;
  int64_t rows = 0;
  int64_t columns = 0;
  // For each element; of kF16 the bits.
  std::vector<int> quants;
  // For each group of each row.
  std::vector<uint16_t> scales;
  std::vector<uint16_t> minima;
  std::vector<uint8_t> bytes;

  PackedMatrix packed() const { return {.data = bytes.data(), .format = format, .rows = rows, .columns = columns}; }
  double Weight(int64_t row, int64_t column) const;
};

// Weights are of about the same size in all formats.
TestMatrix RandomMatrix(WeightFormat format, int64_t rows, int64_t columns, std::mt19937& random,
                        Edge edge = Edge::kNone);
std::vector<float> RandomFloats(int64_t count, std::mt19937& random, Edge edge = Edge::kNone);

// Rows of numbers, put for a matrix of this format. What was not put has all bits set.
class TestActivations {
 public:
  TestActivations(int64_t rows, int64_t columns, WeightFormat format);
  TestActivations(const Kernels& kernels, const std::vector<float>& x, int64_t columns, WeightFormat format);

  const Activations& get() const { return activations_; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
  Activations activations_;
};

// A group of a row of quantized activations.
struct QuantizedGroup {
  float scale = 0;
  float sum = 0;
  std::vector<int> quants;
};
QuantizedGroup GroupOf(const Activations& activations, int64_t row, int64_t group);
// How 32 numbers are rounded.
QuantizedGroup Quantize(const float* x);

// A result in double precision, and how far rounding to floats on the way may take it from there.
struct Expected {
  double value = 0;
  double tolerance = 0;
};

// Products of a row x with all rows of the matrix: with x rounded as the format has it...
std::vector<Expected> Multiply(const TestMatrix& matrix, const float* x);
// ...and with x as it is. The tolerance is half a step for each element of x that is rounded, or all of it where that
// makes it zero.
std::vector<Expected> MultiplyUnrounded(const TestMatrix& matrix, const float* x);

std::vector<double> Normalize(const float* x, const float* factors, double epsilon, int64_t count);
// Attention of one query to keys and values [count, width].
std::vector<Expected> Attend(const float* query, const std::vector<double>& keys, const std::vector<double>& values,
                             int64_t count, int64_t width);

// For each position cosine and sine of each pair of a head.
std::vector<float> Turns(int64_t positions, int64_t width);

}  // namespace predictd

#endif  // PREDICTD_TESTS_KERNELS_REFERENCE_H_
