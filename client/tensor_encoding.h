// Moves a tensor between the protocol's two encodings: raw little-endian bytes, and typed values.
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

// Makes `tensor` hold its elements in `raw`. A tensor that is not well formed (unknown type, number of elements that
// disagrees with its shape, elements in a field that its type does not use): INVALID_ARGUMENT, and it is left as it
// was.
absl::Status EncodeRaw(v1::Tensor& tensor);

// Makes `tensor` hold its elements in the typed field of its type; errors as for EncodeRaw.
absl::Status EncodeTyped(v1::Tensor& tensor);

// OK if `tensor` holds its elements in `raw`, as many as its shape and type say; else INVALID_ARGUMENT.
absl::Status CheckRaw(const v1::Tensor& tensor);

// The raw encoding of BYTES: each element behind its 4-byte length.
void AppendBytesElement(absl::string_view element, std::string& raw);

// Splits the raw encoding of BYTES; the views point into `raw`. A length beyond the end: INVALID_ARGUMENT.
absl::StatusOr<std::vector<absl::string_view>> SplitBytesElements(absl::string_view raw);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_TENSOR_ENCODING_H_
