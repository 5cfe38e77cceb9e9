#ifndef PREDICTD_SERVER_MODEL_DTYPE_H_
#define PREDICTD_SERVER_MODEL_DTYPE_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace predictd {

// Element type of a tensor; the names are those of the Open Inference Protocol.
enum class DType : uint8_t {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kBytes,
};

// Bytes of one element; 0 for BYTES, whose elements have lengths of their own.
size_t ByteWidth(DType dtype);

// The type's name: "FP32".
absl::string_view DTypeName(DType dtype);

// The inverse of DTypeName.
std::optional<DType> ParseDType(absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_DTYPE_H_
