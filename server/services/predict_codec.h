#ifndef PREDICTD_SERVER_SERVICES_PREDICT_CODEC_H_
#define PREDICTD_SERVER_SERVICES_PREDICT_CODEC_H_

#include <grpcpp/grpcpp.h>
#include <predictd/v1/prediction_service.pb.h>

#include <memory>

#include "absl/status/statusor.h"
#include "server/engine/row_stream.h"
#include "server/services/request_builder.h"
#include "server/services/request_target.h"

namespace predictd {

struct DecodedPredictStream {
  DecodedPredict predict;
  RowStream::Options options;
  bool fail_fast = true;
};

// These validate a request for a tensor model; the deadline is left to the caller. INVALID_ARGUMENT with a BadRequest.
absl::StatusOr<DecodedPredict> DecodePredict(const std::shared_ptr<const v1::PredictRequest>& request,
                                             std::shared_ptr<const ServedVersion> target);
absl::StatusOr<DecodedPredictStream> DecodePredictStream(const std::shared_ptr<const v1::PredictStreamRequest>& request,
                                                         std::shared_ptr<const ServedVersion> target, int window);

// These encode the answers. RESOURCE_EXHAUSTED if one is too large for a message.
absl::StatusOr<grpc::ByteBuffer> EncodePredict(const DecodedPredict& request, absl::Span<const Tensor> outputs);
absl::StatusOr<grpc::ByteBuffer> EncodeStreamStart(const DecodedPredict& request, int64_t total_chunks);
absl::StatusOr<grpc::ByteBuffer> EncodeRows(const DecodedPredict& request, const RowStream::Chunk& chunk);
absl::StatusOr<grpc::ByteBuffer> EncodeStreamSummary(int64_t rows_ok, int64_t rows_failed);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_PREDICT_CODEC_H_
