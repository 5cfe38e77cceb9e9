#ifndef PREDICTD_SERVER_SERVICES_REQUEST_SCAN_H_
#define PREDICTD_SERVER_SERVICES_REQUEST_SCAN_H_

#include <grpcpp/grpcpp.h>
#include <predictd/v1/prediction_service.pb.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/serving/catalog.h"

namespace predictd {

// Which call a request belongs to.
enum class PredictCall { kPredict, kPredictStream, kModelInfer };

struct RequestScan {
  // About how long parsing and decoding will take.
  Duration time{};
  // About how many bytes the request will take once it is parsed.
  int64_t memory = 0;
  // How many elements a field has: the field is given by its input (an index) and its number. Only fields with many
  // elements are listed, and none of a ModelInferRequest.
  struct Elements {
    int input = 0;
    int field = 0;
    int count = 0;
  };
  std::vector<Elements> elements = {};
};

// Scans the bytes of a request that is too large to be parsed unseen, for more of anything than its model can use or
// any request may have. Ends as soon as it knows that the request takes longer than `most`; then the result is
// incomplete apart from `time`. INVALID_ARGUMENT with a BadRequest, or NOT_FOUND if there is no such model.
absl::StatusOr<RequestScan> ScanRequest(grpc::ByteBuffer& bytes, PredictCall call, const CatalogSnapshot& models,
                                        Duration most);

// Reserves room for the elements in a message that is about to be parsed: otherwise a field grows while it is parsed,
// and takes several times what it needs.
void ReserveElements(const RequestScan& scan, v1::PredictRequest& request);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_REQUEST_SCAN_H_
