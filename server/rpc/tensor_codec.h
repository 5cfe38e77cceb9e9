#ifndef PREDICTD_SERVER_RPC_TENSOR_CODEC_H_
#define PREDICTD_SERVER_RPC_TENSOR_CODEC_H_

#include <predictd/v1/tensor.pb.h>

#include <memory>
#include <optional>
#include <string>

#include "server/model/signature.h"
#include "server/model/tensor.h"
#include "server/rpc/field_errors.h"
#include "server/rpc/tensor_encoding.h"

namespace predictd {

// Strings that a request may have: empty ones take 2 bytes of a message, and dozens in memory.
constexpr int64_t kMaxStrings = int64_t{1} << 20;

// The tensor in a message, checked against its spec before anything is allocated. Elements that lie in the message as
// the model wants them are not copied: `owner` keeps the message alive. What is wrong goes to `errors`, with field
// paths that begin with `path`.
std::optional<Tensor> DecodeTensor(const v1::Tensor& message, const TensorSpec& spec, std::shared_ptr<const void> owner,
                                   const std::string& path, FieldErrors& errors);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_TENSOR_CODEC_H_
