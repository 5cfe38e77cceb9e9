// Single elements of a tensor as text.
#ifndef PREDICTD_CLIENT_PREDICTCTL_ELEMENT_READER_H_
#define PREDICTD_CLIENT_PREDICTCTL_ELEMENT_READER_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// Reads the elements of a tensor, to which it points. A short-lived value.
class ElementReader {
 public:
  // INVALID_ARGUMENT for a tensor that is not raw or not well formed.
  static absl::StatusOr<ElementReader> Create(const v1::Tensor& tensor);

  // The element for people: up to 5 digits of a float; the first `longest` bytes of a BYTES element in quotes, as text
  // where they are text. 0 <= index < number of elements.
  std::string Text(std::int64_t index, std::int64_t longest = std::numeric_limits<std::int64_t>::max()) const;

 private:
  explicit ElementReader(const v1::Tensor& tensor) : tensor_(&tensor) {}

  const v1::Tensor* tensor_;
  std::vector<absl::string_view> bytes_;  // The elements if the type is BYTES.
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_ELEMENT_READER_H_
