#include "server/kernels/packed_matrix.h"

#include <cstring>

namespace predictd {
namespace {

constexpr int64_t kVectorBytes = 64;
constexpr int64_t kVectorColumns = 4;
constexpr int64_t kQ4GroupBytes = 320;
constexpr int64_t kQ8QuantBytes = 512;
constexpr int64_t kF16GroupBytes = 1024;
constexpr int64_t kScaleBytes = kPanelRows * 2;

int64_t Q8ScaleBytes(int64_t groups) {
  return (groups * kScaleBytes + kVectorBytes - 1) / kVectorBytes * kVectorBytes;
}

void PutHalf(uint16_t half, uint8_t* to) {
  std::memcpy(to, &half, sizeof(half));
}

float Half(const uint8_t* from) {
  _Float16 half;
  std::memcpy(&half, from, sizeof(half));
  return static_cast<float>(half);
}

// The offset of a row's column from its group's first vector.
int64_t Place(int64_t row, int64_t column) {
  return column / kVectorColumns * kVectorBytes + row * kVectorColumns + column % kVectorColumns;
}

}  // namespace

int64_t PanelBytes(WeightFormat format, int64_t columns) {
  const int64_t groups = columns / kGroup;
  switch (format) {
    case WeightFormat::kQ4:
      return groups * kQ4GroupBytes;
    case WeightFormat::kQ8:
      return Q8ScaleBytes(groups) + groups * kQ8QuantBytes;
    case WeightFormat::kF16:
      break;
  }
  return groups * kF16GroupBytes;
}

std::optional<WeightFormat> FormatOf(int64_t panel_bytes, int64_t columns) {
  for (const WeightFormat format : {WeightFormat::kQ4, WeightFormat::kQ8, WeightFormat::kF16}) {
    if (panel_bytes == PanelBytes(format, columns)) return format;
  }
  return std::nullopt;
}

void PackQ4(const uint8_t* quants, const uint16_t* scales, const uint16_t* minima, int64_t rows, int64_t columns,
            uint8_t* packed) {
  const int64_t groups = columns / kGroup;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t lane = row % kPanelRows;
    uint8_t* to = packed + row / kPanelRows * groups * kQ4GroupBytes;
    for (int64_t group = 0; group < groups; ++group, to += kQ4GroupBytes) {
      PutHalf(scales[row * groups + group], to + 2 * lane);
      PutHalf(minima[row * groups + group], to + kScaleBytes + 2 * lane);
      const uint8_t* from = quants + row * columns + group * kGroup;
      for (int64_t i = 0; i < kGroup / 2; ++i) {
        to[kVectorBytes + Place(lane, i)] = static_cast<uint8_t>((from[i] & 15U) | (from[kGroup / 2 + i] << 4U));
      }
    }
  }
}

void PackQ8(const int8_t* quants, const uint16_t* scales, int64_t rows, int64_t columns, uint8_t* packed) {
  const int64_t groups = columns / kGroup;
  const int64_t panel_bytes = PanelBytes(WeightFormat::kQ8, columns);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t lane = row % kPanelRows;
    uint8_t* panel = packed + row / kPanelRows * panel_bytes;
    // The padding is cleared too: what is stored should not depend on what was in memory.
    if (lane == 0) std::memset(panel, 0, static_cast<size_t>(Q8ScaleBytes(groups)));
    for (int64_t group = 0; group < groups; ++group) {
      PutHalf(scales[row * groups + group], panel + group * kScaleBytes + 2 * lane);
    }
    uint8_t* to = panel + Q8ScaleBytes(groups);
    for (int64_t i = 0; i < columns; ++i) {
      std::memcpy(to + Place(lane, i), quants + row * columns + i, 1);
    }
  }
}

void PackF16(const uint16_t* halves, int64_t rows, int64_t columns, uint8_t* packed) {
  for (int64_t row = 0; row < rows; ++row) {
    uint8_t* to = packed + (row / kPanelRows * columns * kPanelRows + row % kPanelRows) * 2;
    for (int64_t i = 0; i < columns; ++i) PutHalf(halves[row * columns + i], to + i * kScaleBytes);
  }
}

void UnpackRow(const PackedMatrix& matrix, int64_t row, float* to) {
  const uint8_t* panel = matrix.Panel(row / kPanelRows);
  const int64_t lane = row % kPanelRows;
  for (int64_t group = 0; group < matrix.groups(); ++group, to += kGroup) {
    if (matrix.format == WeightFormat::kF16) {
      const uint8_t* from = panel + group * kF16GroupBytes + 2 * lane;
      for (int64_t i = 0; i < kGroup; ++i) to[i] = Half(from + i * kScaleBytes);
    } else if (matrix.format == WeightFormat::kQ8) {
      const uint8_t* from = panel + Q8ScaleBytes(matrix.groups()) + group * kQ8QuantBytes;
      const float scale = Half(panel + group * kScaleBytes + 2 * lane);
      for (int64_t i = 0; i < kGroup; ++i)
        to[i] = static_cast<float>(static_cast<int8_t>(from[Place(lane, i)])) * scale;
    } else {
      const uint8_t* from = panel + group * kQ4GroupBytes;
      const float scale = Half(from + 2 * lane);
      const float minimum = Half(from + kScaleBytes + 2 * lane);
      for (int64_t i = 0; i < kGroup / 2; ++i) {
        const uint8_t both = from[kVectorBytes + Place(lane, i)];
        to[i] = static_cast<float>(both & 15U) * scale + minimum;
        to[kGroup / 2 + i] = static_cast<float>(both >> 4U) * scale + minimum;
      }
    }
  }
}

}  // namespace predictd
