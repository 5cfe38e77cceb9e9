#ifndef PREDICTD_SERVER_KERNELS_PACKED_MATRIX_H_
#define PREDICTD_SERVER_KERNELS_PACKED_MATRIX_H_

#include <cstddef>
#include <cstdint>
#include <optional>

namespace predictd {

// The format of a matrix's numbers. Each 32 consecutive numbers of a row (a group) have in common:
//   kQ4   a scale and a minimum in half precision:  w = scale * (0 to 15) + minimum
//   kQ8   a scale in half precision:                w = scale * (-128 to 127)
//   kF16  nothing: the numbers themselves are in half precision
enum class WeightFormat { kQ4, kQ8, kF16 };

inline constexpr int64_t kPanelRows = 16;
inline constexpr int64_t kGroup = 32;

// A matrix [rows, columns] in the order in which it is multiplied: panel after panel of 16 rows, and in each panel
// group after group of columns. 16 rows are the outputs that one vector register of 64 bytes (or two of 32) holds as
// floats, and four columns of each row are what one instruction multiplies as 8-bit integers and sums up. So 64 bytes
// are
//
//        row 0              row 1                    row 15
//   | k, k+1, k+2, k+3 | k, k+1, k+2, k+3 | ... | k, k+1, k+2, k+3 |
//
//   kQ4    a group is   | 16 scales | 16 minima | 4 x 64 bytes |                    320 bytes
//          in vector j the low halves of bytes are columns 4j to 4j+3, the high ones 16+4j to 16+4j+3
//   kQ8    a panel is   | 16 scales for each group, padded to 64 bytes | 8 x 64 bytes for each group |
//          in vector j are columns 4j to 4j+3
//   kF16   a group is   | 32 x 16 halves |                                         1024 bytes
//          in vector k is column k of all rows
//
// Every vector of bytes begins at a multiple of 64 if the matrix does. Memory is read from beginning to end.
struct PackedMatrix {
  const uint8_t* data = nullptr;
  WeightFormat format = WeightFormat::kQ4;
  // Multiples of kPanelRows and kGroup.
  int64_t rows = 0;
  int64_t columns = 0;

  [[gnu::always_inline]] int64_t panels() const { return rows / kPanelRows; }
  [[gnu::always_inline]] int64_t groups() const { return columns / kGroup; }
  [[gnu::always_inline]] const uint8_t* Panel(int64_t index) const;
};

// The bytes of one panel.
int64_t PanelBytes(WeightFormat format, int64_t columns);
// The format of a matrix whose panels have that many bytes; nullopt if no format does.
std::optional<WeightFormat> FormatOf(int64_t panel_bytes, int64_t columns);

inline const uint8_t* PackedMatrix::Panel(int64_t index) const {
  return data + index * PanelBytes(format, columns);
}

// Pack row-major arrays; `packed` has room for rows / 16 panels. Scales and minima are half-precision bits, one for
// each group of each row.
void PackQ4(const uint8_t* quants, const uint16_t* scales, const uint16_t* minima, int64_t rows, int64_t columns,
            uint8_t* packed);
void PackQ8(const int8_t* quants, const uint16_t* scales, int64_t rows, int64_t columns, uint8_t* packed);
void PackF16(const uint16_t* halves, int64_t rows, int64_t columns, uint8_t* packed);

// Converts a row to floats.
void UnpackRow(const PackedMatrix& matrix, int64_t row, float* to);

}  // namespace predictd

#endif  // PREDICTD_SERVER_KERNELS_PACKED_MATRIX_H_
