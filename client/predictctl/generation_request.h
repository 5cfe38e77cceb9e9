// Turns options into a request for text.
#ifndef PREDICTD_CLIENT_PREDICTCTL_GENERATION_REQUEST_H_
#define PREDICTD_CLIENT_PREDICTCTL_GENERATION_REQUEST_H_

#include "client/predictctl/generation_arguments.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {

// A request that has no prompt yet, and sets only the options that were given: the server knows the defaults and the
// limits.
v1::PredictStreamRequest GenerationRequestOf(const GenerationArguments& arguments);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_GENERATION_REQUEST_H_
