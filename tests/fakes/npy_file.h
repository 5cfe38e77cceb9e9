#ifndef PREDICTD_TESTS_FAKES_NPY_FILE_H_
#define PREDICTD_TESTS_FAKES_NPY_FILE_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace predictd {

// The content of an .npy file of format version 1 with that header's text.
inline std::string NpyFile(const std::string& header, const std::string& elements) {
  const std::string text = header + "\n";
  const char length[] = {static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return absl::StrCat("\x93NUMPY", std::string("\x01\x00", 2), std::string(length, 2), text, elements);
}

// An array of elements that have the type of `values`; `descr` is NumPy's name of it.
template <class T>
std::string NpyArray(const std::string& descr, const std::string& shape, const std::vector<T>& values) {
  return NpyFile(absl::StrCat("{'descr': '", descr, "', 'fortran_order': False, 'shape': ", shape, ", }"),
                 std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_NPY_FILE_H_
