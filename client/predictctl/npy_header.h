// The header of an .npy file: a Python dict literal.
#ifndef PREDICTD_CLIENT_PREDICTCTL_NPY_HEADER_H_
#define PREDICTD_CLIENT_PREDICTCTL_NPY_HEADER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

struct NpyHeader {
  std::string descr;  // As in "<f4".
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

// Reads "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }": exactly these three keys, in any order.
// INVALID_ARGUMENT for anything else, structured types included.
absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view text);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_NPY_HEADER_H_
