#include "client/tensor_builder.h"

namespace predictd {
inline namespace client {
namespace {

v1::Tensor Header(absl::string_view name, v1::DataType type, absl::Span<const std::int64_t> shape) {
  v1::Tensor tensor;
  tensor.set_name(std::string(name));
  tensor.set_dtype(type);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  return tensor;
}

absl::StatusOr<v1::Tensor> Checked(v1::Tensor tensor) {
  if (absl::Status encoded = EncodeRaw(tensor); !encoded.ok()) return encoded;
  return tensor;
}

}  // namespace

absl::StatusOr<v1::Tensor> MakeRawTensor(absl::string_view name, v1::DataType type,
                                         absl::Span<const std::int64_t> shape, std::string bytes) {
  v1::Tensor tensor = Header(name, type, shape);
  tensor.set_raw(std::move(bytes));
  return Checked(std::move(tensor));
}

absl::StatusOr<v1::Tensor> MakeBytesTensor(absl::string_view name, absl::Span<const std::int64_t> shape,
                                           absl::Span<const std::string> values) {
  v1::Tensor tensor = Header(name, v1::DATA_TYPE_BYTES, shape);
  tensor.mutable_bytes_values()->Add(values.begin(), values.end());
  return Checked(std::move(tensor));
}

}  // namespace client
}  // namespace predictd
