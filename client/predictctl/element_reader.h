// Single elements of a tensor, as text.
#ifndef PREDICTD_CLIENT_PREDICTCTL_ELEMENT_READER_H_
#define PREDICTD_CLIENT_PREDICTCTL_ELEMENT_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {

// Reads the elements of a tensor, which it points into. A short-lived value.
class ElementReader {
 public:
  // A tensor that is not raw, or not well formed: INVALID_ARGUMENT.
  static absl::StatusOr<ElementReader> Create(const v1::Tensor& tensor);

  // For people: up to 5 digits of a float; quoted and escaped BYTES. 0 <= index < number of elements.
  std::string Text(std::int64_t index) const;

 private:
  explicit ElementReader(const v1::Tensor& tensor) : tensor_(&tensor) {}

  const v1::Tensor* tensor_;
  std::vector<absl::string_view> bytes_;  // The elements if the type is BYTES.
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_ELEMENT_READER_H_
