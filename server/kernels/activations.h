#ifndef PREDICTD_SERVER_KERNELS_ACTIVATIONS_H_
#define PREDICTD_SERVER_KERNELS_ACTIVATIONS_H_

#include <cstdint>

#include "server/kernels/packed_matrix.h"

namespace predictd {

inline constexpr int64_t kTileRows = 8;

// Rows of numbers to be multiplied with a packed matrix, in the order in which the multiplication reads them: tiles of
// 8 rows. Does not own its memory.
//
// For matrices of integers these numbers are themselves rounded to 8 bits, x = scale * (-127 to 127), with a scale for
// each group of a row. The product of two groups is then a sum of integers, which is exact in any order. A group of a
// tile is
//   | 8 scales | 8 sums of the integers, all as floats | 8 x 32 integers |     320 bytes
//
// For matrices in half precision the numbers stay floats: one column of a tile after the other, each | 8 floats |.
struct Activations {
  uint8_t* data = nullptr;
  int64_t columns = 0;
  bool quantized = true;

  static constexpr int64_t kGroupBytes = 320;
  static constexpr int64_t kSums = 32;
  static constexpr int64_t kQuants = 64;

  // Whether a matrix of this format is multiplied with quantized activations.
  static bool QuantizedFor(WeightFormat format) { return format != WeightFormat::kF16; }
  [[gnu::always_inline]] static int64_t TileBytes(int64_t columns, bool quantized) {
    return quantized ? columns / kGroup * kGroupBytes : columns * kTileRows * static_cast<int64_t>(sizeof(float));
  }
  static int64_t Bytes(int64_t rows, int64_t columns, bool quantized) {
    return (rows + kTileRows - 1) / kTileRows * TileBytes(columns, quantized);
  }

  [[gnu::always_inline]] uint8_t* Tile(int64_t row) const {
    return data + row / kTileRows * TileBytes(columns, quantized);
  }
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_ACTIVATIONS_H_
