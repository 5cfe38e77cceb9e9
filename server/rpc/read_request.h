#ifndef PREDICTD_SERVER_RPC_READ_REQUEST_H_
#define PREDICTD_SERVER_RPC_READ_REQUEST_H_

#include <grpcpp/grpcpp.h>
#include <predictd/v1/prediction_service.pb.h>

#include <memory>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/task.h"
#include "server/engine/catalog.h"
#include "server/rpc/call.h"

namespace predictd {

// Parses a request that is no small message, once its bytes have been looked through. If that or decoding it takes
// long, the coroutine goes on on a worker, and `started` becomes the time when it did.
Task<absl::StatusOr<std::shared_ptr<const v1::PredictRequest>>> ReadPredict(Call& call, grpc::ByteBuffer& bytes,
                                                                            const Catalog& catalog, TimePoint& started);
Task<absl::StatusOr<std::shared_ptr<const v1::PredictStreamRequest>>> ReadPredictStream(Call& call,
                                                                                        grpc::ByteBuffer& bytes,
                                                                                        const Catalog& catalog,
                                                                                        TimePoint& started);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_READ_REQUEST_H_
