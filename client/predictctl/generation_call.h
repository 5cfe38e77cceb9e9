// A call for text, from its start to its end.
#ifndef PREDICTD_CLIENT_PREDICTCTL_GENERATION_CALL_H_
#define PREDICTD_CLIENT_PREDICTCTL_GENERATION_CALL_H_

#include <string>

#include "client/predictctl/command_context.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {

// How the call ended.
struct GenerationOutcome {
  int exit_code;
  std::string text;  // What has come of the first answer, however it ended.
  // Whether nothing was shown, because the prompt is too long for the model and the caller has a shorter one.
  bool prompt_too_long = false;
};

// What a caller has that can shorten its prompt.
struct Shortening {
  bool possible = false;
  // Shown before the answer, if one comes.
  std::string note = {};
};

// Makes the call and shows the answers as they come. Ends early if the output cannot be written.
GenerationOutcome Generate(const CommandContext& context, const v1::PredictStreamRequest& request,
                           const Shortening& shortening = {});

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_GENERATION_CALL_H_
