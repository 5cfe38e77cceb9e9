// Builds the protocol's tensors from C++ values, and reads them back.
#ifndef PREDICTD_CLIENT_TENSOR_BUILDER_H_
#define PREDICTD_CLIENT_TENSOR_BUILDER_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "client/data_type.h"
#include "client/tensor_encoding.h"
#include "predictd/v1/tensor.pb.h"

namespace predictd {
inline namespace client {

// A tensor of little-endian bytes in C order. INVALID_ARGUMENT for a length that disagrees with the shape and type, a
// negative extent, or an unknown type.
absl::StatusOr<v1::Tensor> MakeRawTensor(absl::string_view name, v1::DataType type,
                                         absl::Span<const std::int64_t> shape, std::string bytes);

// A tensor of byte strings, with the same errors.
absl::StatusOr<v1::Tensor> MakeBytesTensor(absl::string_view name, absl::Span<const std::int64_t> shape,
                                           absl::Span<const std::string> values);

// A raw tensor of numbers in C order, with the same errors:
//   MakeTensor<float>("image", {1, 1, 8, 8}, pixels)
template <typename T>
absl::StatusOr<v1::Tensor> MakeTensor(absl::string_view name, absl::Span<const std::int64_t> shape,
                                      absl::Span<const std::type_identity_t<T>> values) {
  static_assert(kDataTypeOf<T> != v1::DATA_TYPE_UNSPECIFIED, "not an element type of the protocol");
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return MakeRawTensor(name, kDataTypeOf<T>, shape, std::move(bytes));
}

// The elements of a tensor in either encoding. INVALID_ARGUMENT if the element type is not T, or if the tensor is
// malformed.
template <typename T>
absl::StatusOr<std::vector<T>> TensorValues(v1::Tensor tensor) {
  static_assert(kDataTypeOf<T> != v1::DATA_TYPE_UNSPECIFIED, "not an element type of the protocol");
  if (tensor.dtype() != kDataTypeOf<T>) {
    return absl::InvalidArgumentError("tensor '" + tensor.name() + "' is " + std::string(DataTypeName(tensor.dtype())) +
                                      ", not " + std::string(DataTypeName(kDataTypeOf<T>)));
  }
  if (absl::Status encoded = EncodeRaw(tensor); !encoded.ok()) return encoded;
  std::vector<T> values;
  values.reserve(tensor.raw().size() / sizeof(T));
  for (std::size_t at = 0; at < tensor.raw().size(); at += sizeof(T)) {
    values.push_back(LoadElement<T>(tensor.raw().data() + at));
  }
  return values;
}

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_TENSOR_BUILDER_H_
