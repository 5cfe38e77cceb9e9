#ifndef PREDICTD_SERVER_SERVICES_PREDICT_HANDLER_H_
#define PREDICTD_SERVER_SERVICES_PREDICT_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/rpc/stream_writer.h"
#include "server/serving/catalog.h"

namespace predictd {

// PredictionService.Predict: decodes, looks into the response cache if the model has one, infers, encodes.
Task<absl::StatusOr<grpc::ByteBuffer>> HandlePredict(Call& call, grpc::ByteBuffer& request, const Catalog& catalog);

// PredictionService.PredictStream: decodes, then sends the result of each chunk of rows. `window` bounds how many
// chunks are queued, running or waiting for the reader.
Task<absl::Status> HandlePredictStream(Call& call, grpc::ByteBuffer& request, StreamWriter& writer,
                                       const Catalog& catalog, int window);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_PREDICT_HANDLER_H_
