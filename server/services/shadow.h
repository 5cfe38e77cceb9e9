#ifndef PREDICTD_SERVER_SERVICES_SHADOW_H_
#define PREDICTD_SERVER_SERVICES_SHADOW_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "server/services/request_builder.h"
#include "server/serving/traffic_router.h"

namespace predictd {

// The place of one copy of a request among those that a router lets run at once.
class CopyPlace {
 public:
  // Null if there is none for a request of so many bytes.
  static std::unique_ptr<CopyPlace> Take(std::shared_ptr<const TrafficRouter> router, int64_t bytes) {
    if (!router->BeginCopy(bytes)) return nullptr;
    return std::unique_ptr<CopyPlace>(new CopyPlace(std::move(router), bytes));
  }
  ~CopyPlace() { router_->EndCopy(bytes_); }
  CopyPlace(const CopyPlace&) = delete;
  CopyPlace& operator=(const CopyPlace&) = delete;

 private:
  CopyPlace(std::shared_ptr<const TrafficRouter> router, int64_t bytes) : router_(std::move(router)), bytes_(bytes) {}

  const std::shared_ptr<const TrafficRouter> router_;
  const int64_t bytes_;
};

// Has a version run a copy of a request, and drops the answer. Nothing is run if the copy does not suit the version.
// The copy outlives the call, and is a request like others in the version's metrics and statistics.
void RunCopy(absl::StatusOr<DecodedPredict> copy, std::unique_ptr<CopyPlace> place);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_SHADOW_H_
