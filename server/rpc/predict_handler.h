#ifndef PREDICTD_SERVER_RPC_PREDICT_HANDLER_H_
#define PREDICTD_SERVER_RPC_PREDICT_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/engine/catalog.h"
#include "server/rpc/call.h"
#include "server/rpc/stream_writer.h"

namespace predictd {

// PredictionService.Predict: decode, look into the cache if the model has one, infer, encode.
Task<absl::StatusOr<grpc::ByteBuffer>> HandlePredict(Call& call, grpc::ByteBuffer& request, const Catalog& catalog);

// PredictionService.PredictStream: decode, then send the result of each chunk of rows. `window` bounds how many chunks
// are queued, running or waiting for the reader.
Task<absl::Status> HandlePredictStream(Call& call, grpc::ByteBuffer& request, StreamWriter& writer,
                                       const Catalog& catalog, int window);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_PREDICT_HANDLER_H_
