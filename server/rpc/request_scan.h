#ifndef PREDICTD_SERVER_RPC_REQUEST_SCAN_H_
#define PREDICTD_SERVER_RPC_REQUEST_SCAN_H_

#include <grpcpp/grpcpp.h>
#include <predictd/v1/prediction_service.pb.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/engine/catalog.h"

namespace predictd {

// Which call a request is of.
enum class PredictCall { kPredict, kPredictStream };

struct RequestScan {
  // About how long parsing and decoding will take.
  Duration time{};
  // About how many bytes it will take once it is parsed.
  int64_t memory = 0;
  // Of which input (by index) which field (by number) has how many elements; only of those that have many.
  struct Elements {
    int input = 0;
    int field = 0;
    int count = 0;
  };
  std::vector<Elements> elements = {};
};

// Looks through the bytes of a request that is too large to be parsed without a look: whether it has more of anything
// than its model can use or any request may have. Ends as soon as it knows that the request takes longer than `most`:
// then the rest of what it returns is not all. INVALID_ARGUMENT with a BadRequest, or NOT_FOUND if there is no such
// model.
absl::StatusOr<RequestScan> ScanRequest(grpc::ByteBuffer& bytes, PredictCall call, const Catalog& catalog,
                                        Duration most);

// Makes room for the elements in a message that is to be parsed: otherwise a field grows as it is parsed, and takes
// several times what it needs.
void ReserveElements(const RequestScan& scan, v1::PredictRequest& request);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_REQUEST_SCAN_H_
