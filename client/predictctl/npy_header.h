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

// Reads "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }": these three keys, once each, in any order.
// Anything else, structured types included: INVALID_ARGUMENT.
absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view text);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_NPY_HEADER_H_
