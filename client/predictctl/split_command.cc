#include "client/predictctl/split_command.h"

#include <utility>

#include "client/predictctl/call_hint.h"
#include "client/predictctl/finish_command.h"
#include "client/predictctl/traffic_text.h"

namespace predictd {
namespace {

// What holds, as the answer to a change that changes nothing.
absl::StatusOr<v1::SetTrafficSplitResponse> Show(const CommandContext& context, const std::string& name,
                                                 CallInfo* info) {
  absl::StatusOr<v1::Model> model = context.client.GetModel(name, context.MainCall(), info);
  if (!model.ok()) return model.status();
  v1::SetTrafficSplitResponse response;
  *response.mutable_model() = *std::move(model);
  return response;
}

absl::StatusOr<v1::SetTrafficSplitResponse> Set(const CommandContext& context, const SplitArguments& arguments,
                                                CallInfo* info) {
  v1::SetTrafficSplitRequest request;
  request.set_model_name(arguments.model);
  if (!arguments.reset) *request.mutable_traffic() = arguments.traffic;
  return context.client.SetTrafficSplit(request, context.MainCall(), info);
}

void PrintModel(const v1::Model& model, std::ostream& out) {
  out << model.name() << ": requests that name no version\n";
  if (model.has_traffic()) {
    PrintTraffic(model.traffic(), out);
  } else {
    out << "  all go to the newest version that is ready\n";
  }
}

}  // namespace

int RunSplit(const CommandContext& context, const SplitArguments& arguments) {
  CallInfo info;
  const bool changes = arguments.reset || !arguments.traffic.shares().empty();
  const absl::StatusOr<v1::SetTrafficSplitResponse> response =
      changes ? Set(context, arguments, &info) : Show(context, arguments.model, &info);
  const auto print = [&](const v1::SetTrafficSplitResponse& answer, std::ostream& out) {
    PrintModel(answer.model(), out);
    if (!changes) return;
    out << "to go back: predictctl split " << arguments.model << " "
        << (answer.has_previous() ? TrafficText(answer.previous()) : "--reset") << "\n";
  };
  return FinishCommand(context, response, info, print, ControlHint(response.status()));
}

}  // namespace predictd
