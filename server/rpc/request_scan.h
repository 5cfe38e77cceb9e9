#ifndef PREDICTD_SERVER_RPC_REQUEST_SCAN_H_
#define PREDICTD_SERVER_RPC_REQUEST_SCAN_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/engine/catalog.h"

namespace predictd {

// Which call a request is of.
enum class PredictCall { kPredict, kPredictStream };

// Looks through the bytes of a request that is too large to be parsed without a look: whether it has more of anything
// than its model can use or any request may have. About how long parsing and decoding it will take; what is above
// `most` may not be the whole of it, nor then has all been looked at. INVALID_ARGUMENT with a BadRequest, or NOT_FOUND
// if there is no such model.
absl::StatusOr<Duration> ScanRequest(grpc::ByteBuffer& bytes, PredictCall call, const Catalog& catalog, Duration most);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_REQUEST_SCAN_H_
