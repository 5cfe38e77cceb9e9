// Converts a tensor between the protocol's two encodings: raw little-endian bytes, and typed values.
#ifndef PREDICTD_CLIENT_TENSOR_ENCODING_H_
#define PREDICTD_CLIENT_TENSOR_ENCODING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {
inline namespace client {

// Moves the elements of `tensor` to `raw`. INVALID_ARGUMENT if the tensor is malformed (unknown type, number of
// elements that disagrees with its shape, elements in a field that its type does not use); the tensor is then not
// changed.
absl::Status EncodeRaw(v1::Tensor& tensor);

// Moves the elements of `tensor` to the typed field of its type (for BYTES to bytes_values, unless they are already in
// string_values). The errors are those of EncodeRaw.
absl::Status EncodeTyped(v1::Tensor& tensor);

// OK if `tensor` holds its elements in `raw`, as many as its shape and type say; otherwise INVALID_ARGUMENT.
absl::Status CheckRaw(const v1::Tensor& tensor);

// Appends an element in the raw encoding of BYTES: its 4-byte length, and then its bytes.
void AppendBytesElement(absl::string_view element, std::string& raw);

// Splits the raw encoding of BYTES; the views point into `raw`. INVALID_ARGUMENT for a length beyond the end.
absl::StatusOr<std::vector<absl::string_view>> SplitBytesElements(absl::string_view raw);

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_TENSOR_ENCODING_H_
