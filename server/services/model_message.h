#ifndef PREDICTD_SERVER_SERVICES_MODEL_MESSAGE_H_
#define PREDICTD_SERVER_SERVICES_MODEL_MESSAGE_H_

#include <predictd/v1/model_service.pb.h>

#include <cstdint>

#include "absl/time/time.h"
#include "server/rpc/call.h"
#include "server/serving/catalog.h"

namespace predictd {

// The limits that the server applies to every request.
struct ServerLimits {
  int64_t max_message_bytes;
  absl::Duration default_deadline;
  absl::Duration max_deadline;
};

// `max_message_bytes` is the limit for requests of the other services.
ServerLimits LimitsOf(const Call& call, int64_t max_message_bytes);

// Describes the model by that version, or by its model.toml if `version` is null.
void FillModel(const ServedModel& model, const ServedVersion* version, const ServerLimits& limits, v1::Model& message);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_MODEL_MESSAGE_H_
