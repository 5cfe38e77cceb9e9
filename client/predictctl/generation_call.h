// A call for text, from its start to its end.
#ifndef PREDICTD_CLIENT_PREDICTCTL_GENERATION_CALL_H_
#define PREDICTD_CLIENT_PREDICTCTL_GENERATION_CALL_H_

#include <string>

#include "client/predictctl/command_context.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {

// How it ended.
struct GenerationOutcome {
  int exit_code;
  std::string text;  // What has come of the first answer, however it ended.
};

// Makes the call and shows the answers as they come. Ends early if the output cannot be written.
GenerationOutcome Generate(const CommandContext& context, const v1::PredictStreamRequest& request);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_GENERATION_CALL_H_
