#ifndef PREDICTD_SERVER_SERVICES_TENSOR_CODEC_H_
#define PREDICTD_SERVER_SERVICES_TENSOR_CODEC_H_

#include <predictd/v1/tensor.pb.h>

#include <memory>
#include <optional>
#include <string>

#include "server/model/signature.h"
#include "server/model/tensor.h"
#include "server/services/field_errors.h"
#include "server/services/tensor_encoding.h"

namespace predictd {

// The tensor in a message, checked against its spec before anything is allocated. Elements that lie in the message in
// the layout that the model wants are not copied: `owner` keeps the message alive. Errors go into `errors`, with field
// paths that begin with `path`.
std::optional<Tensor> DecodeTensor(const v1::Tensor& message, const TensorSpec& spec,
                                   const std::shared_ptr<const void>& owner, const std::string& path,
                                   FieldErrors& errors);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_TENSOR_CODEC_H_
