#include "client/predictctl/control_command.h"

#include "client/predictctl/call_hint.h"
#include "client/predictctl/finish_command.h"
#include "client/predictctl/model_details.h"
#include "client/predictctl/model_line.h"

namespace predictd {
namespace {

absl::StatusOr<v1::Model> Call(const CommandContext& context, const ControlArguments& arguments, CallInfo* info) {
  const CallOptions options = context.MainCall();
  switch (arguments.change) {
    case ControlArguments::Change::kLoad:
      return context.client.LoadModel(arguments.model, options, info);
    case ControlArguments::Change::kUnload:
      return context.client.UnloadModel(arguments.model, options, info);
    case ControlArguments::Change::kReload:
      return context.client.ReloadModel(arguments.model, options, info);
  }
  return absl::InternalError("unknown change");
}

void PrintChanged(const v1::Model& model, std::ostream& out) {
  out << ModelLine(model) << "\n";
  PrintReasons(model, "  ", out);
}

}  // namespace

int RunControl(const CommandContext& context, const ControlArguments& arguments) {
  CallInfo info;
  const absl::StatusOr<v1::Model> model = Call(context, arguments, &info);
  const int exit_code = FinishCommand(context, model, info, PrintChanged, ControlHint(model.status()));
  if (absl::IsCancelled(model.status()) || absl::IsDeadlineExceeded(model.status())) {
    context.err << "  the server goes on: predictctl models --watch " << arguments.model << " shows how far it is\n";
  }
  return exit_code;
}

}  // namespace predictd
