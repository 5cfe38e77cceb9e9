#ifndef PREDICTD_SERVER_SERVICES_INFER_CODEC_H_
#define PREDICTD_SERVER_SERVICES_INFER_CODEC_H_

#include <grpcpp/grpcpp.h>
#include <inference/grpc_service.pb.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/services/request_builder.h"
#include "server/services/request_target.h"
#include "server/serving/catalog.h"

namespace predictd {

// What predict_codec.h and request_target.h do for predictd.v1, for the Open Inference Protocol.

// Finds the version that a request is for, and fills `subject` even if the request is refused. INVALID_ARGUMENT for the
// fields that name the model; NOT_FOUND or UNAVAILABLE as the catalog says.
absl::StatusOr<std::shared_ptr<const ServedVersion>> FindInferTarget(const inference::ModelInferRequest& request,
                                                                     const CatalogSnapshot& models,
                                                                     RequestSubject& subject);

// Validates a request for a tensor model. INVALID_ARGUMENT with a BadRequest.
absl::StatusOr<DecodedPredict> DecodeInfer(const std::shared_ptr<const inference::ModelInferRequest>& request,
                                           std::shared_ptr<const ServedVersion> target);

// Encodes the answer, whose elements are raw. RESOURCE_EXHAUSTED if it is too large for a message.
absl::StatusOr<grpc::ByteBuffer> EncodeInfer(const DecodedPredict& request, absl::Span<const Tensor> outputs);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_CODEC_H_
