// Turns inputs and options into a request.
#ifndef PREDICTD_CLIENT_PREDICTCTL_PREPARE_REQUEST_H_
#define PREDICTD_CLIENT_PREDICTCTL_PREPARE_REQUEST_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "client/predictctl/command_context.h"
#include "client/predictctl/command_line.h"
#include "client/predictctl/inputs.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {

// Fills `request`, with raw inputs, asking the server for the model's signature if that is needed. If it fails, it
// tells the user why and returns the exit status.
std::optional<int> PrepareRequest(const CommandContext& context, const PredictArguments& arguments,
                                  std::vector<Input> inputs, v1::PredictRequest& request);

// Encodes the raw inputs of a request as they are to travel. INVALID_ARGUMENT if they cannot be encoded like that.
absl::Status EncodeInputs(Encoding encoding, v1::PredictRequest& request);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_PREPARE_REQUEST_H_
