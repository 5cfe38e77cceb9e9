// Models that were given to the wrong command.
#ifndef PREDICTD_CLIENT_PREDICTCTL_MODEL_KIND_H_
#define PREDICTD_CLIENT_PREDICTCTL_MODEL_KIND_H_

#include <string>

#include "absl/status/status.h"
#include "client/predictctl/command_context.h"
#include "predictd/v1/model_service.pb.h"

namespace predictd {

// A hint that says which command runs a model of that kind.
std::string CommandHint(const std::string& model, v1::ModelKind kind);

// The hint about a call that ended with FAILED_PRECONDITION because it was made for models of the kind `wanted` and
// this one is of another, which this function asks the server. Empty if the call ended otherwise, or for another
// reason.
std::string WrongKindHint(const CommandContext& context, const absl::Status& status, const std::string& model,
                          v1::ModelKind wanted);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_MODEL_KIND_H_
