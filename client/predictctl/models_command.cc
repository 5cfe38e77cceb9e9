#include "client/predictctl/models_command.h"

#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/json_output.h"
#include "client/predictctl/model_details.h"
#include "client/predictctl/table.h"

namespace predictd {
namespace {

template <typename Specs>
std::string SpecsText(const Specs& specs) {
  return absl::StrJoin(specs, ", ", [](std::string* out, const v1::TensorSpec& spec) {
    absl::StrAppend(out, spec.name(), " ", TypeText(spec));
  });
}

// The inputs of a model, for a cell of the table.
std::string InputsText(const v1::Model& model) {
  if (model.kind() != v1::MODEL_KIND_GENERATOR) return SpecsText(model.inputs());
  return model.generator().chat() ? "prompt, chat" : "prompt";
}

std::string OutputsText(const v1::Model& model) {
  return model.kind() == v1::MODEL_KIND_GENERATOR ? "text" : SpecsText(model.outputs());
}

std::string VersionsText(const v1::Model& model) {
  return absl::StrJoin(model.versions(), ", ", [](std::string* text, const v1::ModelVersion& version) {
    if (version.version() != 0) absl::StrAppend(text, version.version(), " ");
    absl::StrAppend(text, StateText(version.state()));
  });
}

void PrintAll(const v1::ListModelsResponse& response, std::ostream& out) {
  if (response.models().empty()) {
    out << "The server has no models.\n";
    return;
  }
  Table table({"NAME", "KIND", "VERSIONS", "INPUTS", "OUTPUTS"});
  for (const v1::Model& model : response.models()) {
    table.AddRow({model.name(), KindText(model.kind()), VersionsText(model), InputsText(model), OutputsText(model)});
  }
  out << table.Text("", kScreenColumns);
  std::ostringstream reasons;
  for (const v1::Model& model : response.models()) PrintReasons(model, absl::StrCat(model.name(), " "), reasons);
  if (!reasons.str().empty()) out << "\n" << reasons.str();
}

// The common end of both forms: `print` shows an answer to people.
template <typename Response, typename Print>
int Finish(const CommandContext& context, const absl::StatusOr<Response>& response, const CallInfo& info, Print print) {
  if (!response.ok()) return context.FailCall(response.status(), info);
  if (context.arguments.json) {
    context.out << JsonDocument({{"response", MessageJson(*response)}, {"timings", TimingsJson(info)}}) << "\n";
  } else {
    print(*response, context.out);
  }
  return kExitOk;
}

}  // namespace

int RunModels(const CommandContext& context, const ModelsArguments& arguments) {
  CallInfo info;
  if (arguments.name.empty()) {
    return Finish(context, context.client.ListModels(context.MainCall(), &info), info, PrintAll);
  }
  return Finish(context, context.client.GetModel(arguments.name, context.MainCall(), &info), info, PrintDetails);
}

}  // namespace predictd
