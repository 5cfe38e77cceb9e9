#ifndef PREDICTD_SERVER_SERVICES_INFER_CODEC_H_
#define PREDICTD_SERVER_SERVICES_INFER_CODEC_H_

#include <grpcpp/grpcpp.h>
#include <inference/grpc_service.pb.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/services/request_builder.h"
#include "server/services/request_target.h"
#include "server/services/shared_memory_regions.h"
#include "server/serving/catalog.h"

namespace predictd {

// What predict_codec.h and request_target.h do for predictd.v1, for the Open Inference Protocol.

// Finds the version that a request is for, and fills `subject` even if the request is refused. INVALID_ARGUMENT for the
// fields that name the model; NOT_FOUND or UNAVAILABLE as the catalog says.
absl::StatusOr<std::shared_ptr<const ServedVersion>> FindInferTarget(const inference::ModelInferRequest& request,
                                                                     const CatalogSnapshot& models,
                                                                     RequestSubject& subject);

// Validates a request for a tensor model, and copies what it has in shared memory; without regions it may have nothing
// there. INVALID_ARGUMENT with a BadRequest.
absl::StatusOr<DecodedPredict> DecodeInfer(const std::shared_ptr<const inference::ModelInferRequest>& request,
                                           std::shared_ptr<const ServedVersion> target,
                                           const SharedMemoryRegions* regions = nullptr);

// What the codec of requests for generators shares: reads the inputs and outputs against the builder's signature. Adds
// the names of parameters without effect to `ignored`. The builder's tensors keep the request alive.
void ReadInferTensors(const std::shared_ptr<const inference::ModelInferRequest>& request,
                      const SharedMemoryRegions* regions, std::vector<std::string>& ignored, RequestBuilder& builder);

// The list of parameters without effect for the answer, of a length that every client takes.
std::string ListIgnored(const std::vector<std::string>& names);

// The head of an answer, and an output with its elements.
void FillInferHead(const DecodedPredict& request, inference::ModelInferResponse& response);
void AddInferOutput(const std::string& name, const Tensor& tensor, inference::ModelInferResponse& response);

// Encodes the answer, whose elements are raw, or puts them into shared memory. RESOURCE_EXHAUSTED if it is too large
// for a message; INVALID_ARGUMENT with a BadRequest if shared memory does not take it.
absl::StatusOr<grpc::ByteBuffer> EncodeInfer(const DecodedPredict& request, absl::Span<const Tensor> outputs);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_CODEC_H_
