#ifndef PREDICTD_SERVER_SERVICES_SHADOW_H_
#define PREDICTD_SERVER_SERVICES_SHADOW_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/services/request_builder.h"
#include "server/serving/traffic_router.h"

namespace predictd {

// Has a version run a copy of a request, and drops the answer. Nothing is run if the copy does not suit the version, or
// if the router has enough copies running. The copy outlives the call, and is a request like others in the version's
// metrics and statistics.
void RunCopy(absl::StatusOr<DecodedPredict> copy, std::shared_ptr<const TrafficRouter> router);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_SHADOW_H_
