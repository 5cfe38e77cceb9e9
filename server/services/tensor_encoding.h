#ifndef PREDICTD_SERVER_SERVICES_TENSOR_ENCODING_H_
#define PREDICTD_SERVER_SERVICES_TENSOR_ENCODING_H_

#include <predictd/v1/tensor.pb.h>

#include <cstdint>
#include <string>

#include "server/model/tensor.h"

namespace predictd {

// How the elements of a tensor are encoded. kText is like kTyped, except that strings that are text are sent as text.
// An answer uses the greatest encoding among the request's inputs.
enum class Encoding { kTyped, kText, kRaw };

// The encoding that the message uses for its elements.
inline Encoding EncodingOf(const v1::Tensor& message) {
  if (!message.raw().empty()) return Encoding::kRaw;
  return message.string_values().empty() ? Encoding::kTyped : Encoding::kText;
}

// How many bytes the elements take in a message; if there are few elements, a lower bound. EncodeTensor encodes no more
// than a message can hold.
int64_t EncodedBytes(const Tensor& tensor, Encoding encoding);

// The elements as little-endian bytes, into an empty string.
void EncodeRaw(const Tensor& tensor, std::string& raw);

void EncodeTensor(const Tensor& tensor, const std::string& name, Encoding encoding, v1::Tensor& message);

v1::DataType ToProto(DType dtype);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_TENSOR_ENCODING_H_
