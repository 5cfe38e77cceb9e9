#ifndef PREDICTD_SERVER_RPC_GENERATION_PROMPT_H_
#define PREDICTD_SERVER_RPC_GENERATION_PROMPT_H_

#include <predictd/v1/prediction_service.pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/stop.h"
#include "server/generation/generator.h"
#include "server/rpc/field_errors.h"

namespace predictd {

// Checks of a prompt what needs no tokens: its kind, its size, roles and ids. What is wrong goes into `errors`, with
// paths that begin with `path` ("generation."); FAILED_PRECONDITION for a chat if the generator has no template. Takes
// microseconds, whatever the caller sent.
absl::Status CheckPrompt(const v1::GenerationRequest& request, const std::string& path, const Generator& generator,
                         FieldErrors& errors);

// Whether it is put into tokens so quickly that an event loop may do it.
bool IsShortPrompt(const v1::GenerationRequest& request);

// The tokens of a prompt that CheckPrompt let pass. INVALID_ARGUMENT if the template does not take the chat, or if
// there are no tokens or as many as max_length; INTERNAL if the template fails. Looks at `stop` every few milliseconds
// and ends with its StopStatus.
absl::StatusOr<std::vector<int32_t>> EncodePrompt(const v1::GenerationRequest& request, const std::string& path,
                                                  const Generator& generator, const StopSource& stop);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_GENERATION_PROMPT_H_
