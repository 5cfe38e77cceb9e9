#ifndef PREDICTD_SERVER_KERNELS_ACTIVATIONS_H_
#define PREDICTD_SERVER_KERNELS_ACTIVATIONS_H_

#include <cstdint>

#include "server/kernels/packed_matrix.h"

namespace predictd {

inline constexpr int64_t kTileRows = 8;

// Rows of numbers that a packed matrix is multiplied with, in the order in which that reads them: tiles of 8 rows. Does
// not own its memory.
//
// For matrices of integers they are rounded to 8 bits themselves, x = scale * (-127 to 127) with a scale for each group
// of a row. So a product of two groups is a sum of integers, which is exact in any order. A group of a tile is
//   | 8 scales | 8 sums of the integers, all as floats | 8 x 32 integers |     320 bytes
//
// For matrices in half precision they stay as they are: column after column of a tile | 8 floats |.
struct Activations {
  uint8_t* data = nullptr;
  int64_t columns = 0;
  bool quantized = true;

  static constexpr int64_t kGroupBytes = 320;
  static constexpr int64_t kSums = 32;
  static constexpr int64_t kQuants = 64;

  // What multiplies with a matrix of this format.
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
