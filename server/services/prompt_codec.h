#ifndef PREDICTD_SERVER_SERVICES_PROMPT_CODEC_H_
#define PREDICTD_SERVER_SERVICES_PROMPT_CODEC_H_

#include <predictd/v1/generation.pb.h>

#include "server/generation/prompt.h"

namespace predictd {

// The prompt of a request, unchecked. It refers to the request's texts and ids, which it does not copy.
Prompt ReadPrompt(const v1::GenerationRequest& request);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_PROMPT_CODEC_H_
