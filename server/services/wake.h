#ifndef PREDICTD_SERVER_SERVICES_WAKE_H_
#define PREDICTD_SERVER_SERVICES_WAKE_H_

#include <string>

#include "absl/status/status.h"
#include "server/async/task.h"
#include "server/rpc/served_request.h"
#include "server/serving/catalog.h"

namespace predictd {

// Has a model that was unloaded because nobody used it loaded again, and waits until it is ready or has failed, which
// the catalog then says. An error if the request is stopped before, or if too many wait.
Task<absl::Status> WakeModel(ServedRequest& served, const Catalog& catalog, std::string model);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_WAKE_H_
