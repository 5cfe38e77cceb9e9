#include "client/predictctl/watch_command.h"

#include <memory>
#include <string>

#include "client/predictctl/json_output.h"
#include "client/predictctl/model_details.h"
#include "client/predictctl/model_line.h"

namespace predictd {
namespace {

void PrintEvent(const CommandContext& context, const v1::WatchModelsResponse& event) {
  if (context.arguments.json) {
    context.out << JsonLine(MessageJson(event)) << "\n";
  } else if (event.has_model()) {
    context.out << ModelLine(event.model()) << "\n";
    PrintReasons(event.model(), "  ", context.out);
  } else if (event.has_removed()) {
    context.out << event.removed() << "  removed\n";
  } else if (event.has_started() && event.started().models() == 0) {
    // Standard output has nothing but models.
    context.err << "predictctl: there is nothing to watch yet\n";
  }
  context.out.flush();
}

}  // namespace

int RunWatch(const CommandContext& context, const ModelsArguments& arguments) {
  const absl::StatusOr<std::unique_ptr<ModelWatch>> watch =
      context.client.WatchModels(arguments.name, context.MainCall());
  if (!watch.ok()) return context.FailCall(watch.status(), {});
  v1::WatchModelsResponse event;
  bool answered = false;
  while (context.out && (*watch)->Next(&event)) {
    answered = true;
    PrintEvent(context, event);
  }
  CallInfo info;
  const absl::Status status = (*watch)->Finish(&info);
  if (context.arguments.json) context.out << JsonLine(EndJson(status, info)) << "\n";
  const bool gone = answered && absl::IsUnavailable(status);
  return context.ReportCall(status, info, gone ? "the server has gone; the watch does not go on by itself" : "");
}

}  // namespace predictd
