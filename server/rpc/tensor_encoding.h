#ifndef PREDICTD_SERVER_RPC_TENSOR_ENCODING_H_
#define PREDICTD_SERVER_RPC_TENSOR_ENCODING_H_

#include <predictd/v1/tensor.pb.h>

#include <cstdint>
#include <string>

#include "server/model/tensor.h"

namespace predictd {

// How the elements of a tensor travel.
enum class Encoding { kTyped, kRaw };

// Whether the message holds its elements as raw bytes.
inline Encoding EncodingOf(const v1::Tensor& message) {
  return message.raw().empty() ? Encoding::kTyped : Encoding::kRaw;
}

// How many bytes the elements take in a message; of few elements, how many at least. EncodeTensor takes no more than a
// message can have.
int64_t EncodedBytes(const Tensor& tensor, Encoding encoding);

void EncodeTensor(const Tensor& tensor, const std::string& name, Encoding encoding, v1::Tensor& message);

v1::DataType ToProto(DType dtype);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_TENSOR_ENCODING_H_
