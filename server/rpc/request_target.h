#ifndef PREDICTD_SERVER_RPC_REQUEST_TARGET_H_
#define PREDICTD_SERVER_RPC_REQUEST_TARGET_H_

#include <predictd/v1/prediction_service.pb.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/engine/catalog.h"
#include "server/rpc/field_errors.h"

namespace predictd {

// What a request is about, for reports: as far as it is known when the rest is wrong.
struct RequestSubject {
  const ServedModel* model = nullptr;
  int64_t version = 0;
  std::string request_id;
};

// The version that a request is for.
struct RequestTarget {
  const ServedModel* model = nullptr;
  ServedVersion* version = nullptr;
};

// Finds it, and fills `subject` also if the request is refused: INVALID_ARGUMENT for the fields that name the model, as
// `prefix` and their names; NOT_FOUND or UNAVAILABLE as the catalog says; FAILED_PRECONDITION if the request does not
// suit the kind of the model.
absl::StatusOr<RequestTarget> FindTarget(const v1::PredictRequest& request, absl::string_view prefix,
                                         const Catalog& catalog, RequestSubject& subject);

// Checks and returns what all kinds of requests have.
std::string ReadRequestId(const v1::PredictRequest& request, absl::string_view prefix, FieldErrors& errors);

// The value of the parameter `priority`.
int64_t ReadPriority(const v1::Parameter& parameter, const std::string& path, FieldErrors& errors);
// The value of a parameter that is true or false.
bool ReadFlag(const v1::Parameter& parameter, const std::string& path, FieldErrors& errors);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_REQUEST_TARGET_H_
