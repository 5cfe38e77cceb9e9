#ifndef PREDICTD_SERVER_SERVICES_REQUEST_TARGET_H_
#define PREDICTD_SERVER_SERVICES_REQUEST_TARGET_H_

#include <predictd/v1/prediction_service.pb.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/rpc/served_request.h"
#include "server/services/field_errors.h"
#include "server/serving/catalog.h"

namespace predictd {

// What a request is about, for reports: as far as it is known even if the rest of the request is wrong.
struct RequestSubject {
  // Set before, for its metadata, which is only looked at if it is needed; null if there is none.
  ServedRequest* request = nullptr;
  std::shared_ptr<const ServedModel> model = nullptr;
  int64_t version = 0;
  std::string request_id = {};
  // Whether the request left the choice of the version to the server.
  bool routed = false;
};

// Whether the request has no version only because its model sleeps.
inline bool IsAsleep(const RequestSubject& subject,
                     const absl::StatusOr<std::shared_ptr<const ServedVersion>>& target) {
  return absl::IsUnavailable(target.status()) && subject.model != nullptr && subject.model->asleep();
}

// What requests with the same key have in common that names no version: they get the same one. The string parameter
// and, if that is not there, the metadata of these names.
inline constexpr char kTrafficKey[] = "traffic_key";
inline constexpr char kTrafficKeyMetadata[] = "x-traffic-key";

// What a request says about the version that it wants.
struct WantedVersion {
  absl::string_view model;
  // 0 if it names none.
  int64_t number = 0;
  // Empty if it has none.
  absl::string_view label = "";
  // The value of the parameter.
  absl::string_view traffic_key = "";
};

// Finds a version of a model by its label or its number, or if it has neither by the model's traffic split, and fills
// `subject` as far as it can. NOT_FOUND or UNAVAILABLE as the catalog says.
absl::StatusOr<std::shared_ptr<const ServedVersion>> FindVersion(const WantedVersion& wanted,
                                                                 const CatalogSnapshot& models,
                                                                 RequestSubject& subject);

// Finds the version that a request is for, and fills `subject` even if the request is refused. INVALID_ARGUMENT for the
// fields that name the model, whose paths are `prefix` and their names; NOT_FOUND or UNAVAILABLE as the catalog says;
// FAILED_PRECONDITION if the request does not suit the kind of the model.
absl::StatusOr<std::shared_ptr<const ServedVersion>> FindTarget(const v1::PredictRequest& request,
                                                                absl::string_view prefix, const CatalogSnapshot& models,
                                                                RequestSubject& subject);

// What reports show of a request's id, before it is checked.
std::string ShownRequestId(const std::string& id);

// Checks and returns the request id, which all kinds of requests have, in the field `path`.
std::string ReadRequestId(const std::string& id, absl::string_view path, FieldErrors& errors);

// The value of the parameter `priority`.
int64_t ReadPriority(const v1::Parameter& parameter, const std::string& path, FieldErrors& errors);
// Checks the parameter kTrafficKey.
void CheckTrafficKey(const v1::Parameter& parameter, const std::string& path, FieldErrors& errors);
// The value of a boolean parameter.
bool ReadFlag(const v1::Parameter& parameter, const std::string& path, FieldErrors& errors);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_REQUEST_TARGET_H_
