#ifndef PREDICTD_SERVER_SERVICES_READ_REQUEST_H_
#define PREDICTD_SERVER_SERVICES_READ_REQUEST_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/task.h"
#include "server/rpc/served_request.h"
#include "server/serving/catalog.h"

namespace predictd {

// Parses a request that is not small, after scanning its bytes. If parsing or decoding takes long, the coroutine
// continues on a worker, and `started` becomes the time at which it did. A message is a v1::PredictRequest, a
// v1::PredictStreamRequest or an inference::ModelInferRequest.
template <class Message>
Task<absl::StatusOr<std::shared_ptr<const Message>>> ReadRequest(ServedRequest& served, grpc::ByteBuffer& bytes,
                                                                 const CatalogSnapshot& models, TimePoint& started);

// Makes the request hold `bytes` that decoding is about to copy from elsewhere. If that takes long, the coroutine
// continues on a worker, and `started` becomes the time at which it did.
Task<absl::Status> PrepareToCopy(ServedRequest& served, int64_t bytes, TimePoint& started);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_READ_REQUEST_H_
