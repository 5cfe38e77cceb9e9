#ifndef PREDICTD_SERVER_RPC_TENSOR_CODEC_H_
#define PREDICTD_SERVER_RPC_TENSOR_CODEC_H_

#include <predictd/v1/tensor.pb.h>

#include <memory>
#include <optional>
#include <string>

#include "server/model/signature.h"
#include "server/model/tensor.h"
#include "server/rpc/field_errors.h"

namespace predictd {

// How the elements of a tensor travel.
enum class Encoding { kTyped, kRaw };

// Strings that a request may have: empty ones take 2 bytes of a message, and dozens in memory.
constexpr int64_t kMaxStrings = int64_t{1} << 20;

// The tensor in a message, checked against its spec before anything is allocated. Elements that lie in the message as
// the model wants them are not copied: `owner` keeps the message alive. What is wrong goes to `errors`, with field
// paths that begin with `path`.
std::optional<Tensor> DecodeTensor(const v1::Tensor& message, const TensorSpec& spec, std::shared_ptr<const void> owner,
                                   const std::string& path, FieldErrors& errors);

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

#endif  // PREDICTD_SERVER_RPC_TENSOR_CODEC_H_
