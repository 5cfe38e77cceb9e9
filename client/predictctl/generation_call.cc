#include "client/predictctl/generation_call.h"

#include <algorithm>
#include <cstddef>
#include <memory>

#include "client/predictctl/answer_printer.h"

namespace predictd {
namespace {

// A number that the server will refuse counts as one answer.
std::size_t AnswersOf(const v1::PredictStreamRequest& request) {
  const v1::GenerationRequest& generation = request.predict().generation();
  return generation.has_n() ? static_cast<std::size_t>(std::max(generation.n(), 1)) : 1;
}

}  // namespace

GenerationOutcome Generate(const CommandContext& context, const v1::PredictStreamRequest& request) {
  const absl::StatusOr<std::unique_ptr<PredictionStream>> stream =
      context.client.PredictStream(request, context.MainCall());
  if (!stream.ok()) return {.exit_code = context.ReportLocal(stream.status()), .text = ""};
  AnswerPrinter printer(context, AnswersOf(request));
  v1::PredictStreamResponse event;
  while (context.out && (*stream)->Next(&event)) {
    if (const absl::Status shown = printer.OnEvent(event); !shown.ok()) {
      return {.exit_code = context.ReportLocal(shown), .text = printer.first_text()};
    }
  }
  CallInfo info;
  const absl::Status status = (*stream)->Finish(&info);
  printer.OnEnd(status, info);
  return {.exit_code = context.ReportCall(status, info), .text = printer.first_text()};
}

}  // namespace predictd
