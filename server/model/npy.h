#ifndef PREDICTD_SERVER_MODEL_NPY_H_
#define PREDICTD_SERVER_MODEL_NPY_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/tensor.h"

namespace predictd {

// The array in an .npy file (NumPy's format versions 1 to 3) as a tensor of that type: little-endian and in C order. A
// BF16 array is one of NumPy's 32-bit floats, or of the two bytes that ml_dtypes writes. INVALID_ARGUMENT, with what to
// do about it, for other arrays, for BYTES and for malformed files.
absl::StatusOr<Tensor> ReadNpy(absl::string_view file, DType dtype);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_NPY_H_
