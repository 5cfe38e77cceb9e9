#ifndef PREDICTD_SERVER_RPC_PREDICT_CODEC_H_
#define PREDICTD_SERVER_RPC_PREDICT_CODEC_H_

#include <grpcpp/grpcpp.h>
#include <predictd/v1/prediction_service.pb.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "server/engine/inference.h"
#include "server/engine/row_stream.h"
#include "server/rpc/request_target.h"
#include "server/rpc/tensor_codec.h"

namespace predictd {

// A PredictRequest, understood: which version runs what, and how the answer is to look.
struct DecodedPredict {
  const ServedModel* model = nullptr;
  int64_t version = 0;
  std::shared_ptr<ModelRunner> runner;
  // Null if the model has none, or the caller does not want it.
  std::shared_ptr<ResponseCache> cache;
  InferenceRequest inference;
  // Of the signature's outputs, by index.
  absl::InlinedVector<int, 8> outputs;
  Encoding encoding = Encoding::kTyped;
  std::string request_id;
};

struct DecodedPredictStream {
  DecodedPredict predict;
  RowStream::Options options;
  bool fail_fast = true;
};

// Validates a request of a tensor model; the deadline is left to the caller. INVALID_ARGUMENT with a BadRequest.
absl::StatusOr<DecodedPredict> DecodePredict(const std::shared_ptr<const v1::PredictRequest>& request,
                                             const RequestTarget& target);
absl::StatusOr<DecodedPredictStream> DecodePredictStream(const std::shared_ptr<const v1::PredictStreamRequest>& request,
                                                         const RequestTarget& target, int window);

// The answers. RESOURCE_EXHAUSTED if one is too large for a message.
absl::StatusOr<grpc::ByteBuffer> EncodePredict(const DecodedPredict& request, absl::Span<const Tensor> outputs);
absl::StatusOr<grpc::ByteBuffer> EncodeStreamStart(const DecodedPredict& request, int64_t total_chunks);
absl::StatusOr<grpc::ByteBuffer> EncodeRows(const DecodedPredict& request, const RowStream::Chunk& chunk);
absl::StatusOr<grpc::ByteBuffer> EncodeStreamSummary(int64_t rows_ok, int64_t rows_failed);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_PREDICT_CODEC_H_
