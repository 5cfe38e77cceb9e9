// Prompts that a generator has no room for.
#ifndef PREDICTD_CLIENT_PREDICTCTL_CONTEXT_LIMIT_H_
#define PREDICTD_CLIENT_PREDICTCTL_CONTEXT_LIMIT_H_

#include "client/error_details.h"

namespace predictd {

// Whether the server refused a prompt because it, or it together with max_tokens, is longer than the model's context.
bool IsPromptTooLong(const ErrorDetails& error);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_CONTEXT_LIMIT_H_
