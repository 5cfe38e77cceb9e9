// NumPy's file format for one array.
#ifndef PREDICTD_CLIENT_PREDICTCTL_NPY_H_
#define PREDICTD_CLIENT_PREDICTCTL_NPY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// Whether a file's content starts like an .npy file.
bool LooksLikeNpy(absl::string_view file);

// The array in an .npy file (format versions 1 to 3) as a raw tensor without a name. Little-endian arrays of bool,
// integers and floats in C order are supported. INVALID_ARGUMENT, with what to do about it, for others and for
// malformed files.
absl::StatusOr<v1::Tensor> ParseNpy(absl::string_view file);

// An .npy file with the elements of `tensor`. BF16 is stored as 32-bit floats. INVALID_ARGUMENT for BYTES.
absl::StatusOr<std::string> FormatNpy(v1::Tensor tensor);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_NPY_H_
