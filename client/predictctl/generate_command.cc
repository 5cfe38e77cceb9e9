#include "client/predictctl/generate_command.h"

#include "client/predictctl/conversation.h"
#include "client/predictctl/generation_call.h"
#include "client/predictctl/generation_request.h"
#include "client/predictctl/template_arguments.h"

namespace predictd {

int RunGenerate(const CommandContext& context, const GenerateArguments& arguments, const std::string& prompt) {
  v1::PredictStreamRequest request = GenerationRequestOf(arguments.generation);
  v1::GenerationRequest& generation = *request.mutable_predict()->mutable_generation();
  const absl::StatusOr<TemplateArguments> variables = ReadTemplateArguments(arguments.generation.template_arguments);
  if (!variables.ok()) return context.ReportLocal(variables.status());
  if (arguments.chat || arguments.generation.system.has_value() || !variables->empty()) {
    *generation.mutable_chat() = Conversation(arguments.generation.system, *variables).Ask(prompt);
  } else {
    generation.set_text(prompt);
  }
  return Generate(context, request).exit_code;
}

}  // namespace predictd
