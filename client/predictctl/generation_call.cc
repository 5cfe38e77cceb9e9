#include "client/predictctl/generation_call.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "client/predictctl/answer_printer.h"
#include "client/predictctl/context_limit.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/model_kind.h"

namespace predictd {
namespace {

// The protocol's limit for the answers to one request.
constexpr int kMostAnswers = 16;

// A number that the server will refuse counts as the nearest one that it takes.
std::size_t AnswersOf(const v1::PredictStreamRequest& request) {
  const v1::GenerationRequest& generation = request.predict().generation();
  return generation.has_n() ? static_cast<std::size_t>(std::clamp(generation.n(), 1, kMostAnswers)) : 1;
}

}  // namespace

GenerationOutcome Generate(const CommandContext& context, const v1::PredictStreamRequest& request,
                           const Shortening& shortening) {
  const absl::StatusOr<std::unique_ptr<PredictionStream>> stream =
      context.client.PredictStream(request, context.MainCall());
  if (!stream.ok()) return {.exit_code = context.FailCall(stream.status(), {}), .text = ""};
  AnswerPrinter printer(context, AnswersOf(request));
  v1::PredictStreamResponse event;
  bool begun = false;
  while (context.out && (*stream)->Next(&event)) {
    if (!std::exchange(begun, true)) context.err << shortening.note;
    if (const absl::Status shown = printer.OnEvent(event); !shown.ok()) {
      return {.exit_code = context.ReportLocal(shown), .text = printer.first_text()};
    }
  }
  CallInfo info;
  const absl::Status status = (*stream)->Finish(&info);
  if (shortening.possible && !begun && info.error.has_value() && IsPromptTooLong(*info.error)) {
    return {.exit_code = ExitCodeOfCall(status, false), .text = "", .prompt_too_long = true};
  }
  printer.OnEnd(status, info);
  const std::string hint = WrongKindHint(context, status, request.predict().model_name(), v1::MODEL_KIND_GENERATOR);
  return {.exit_code = context.ReportCall(status, info, hint), .text = printer.first_text()};
}

}  // namespace predictd
