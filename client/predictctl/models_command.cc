#include "client/predictctl/models_command.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/predictctl/finish_command.h"
#include "client/predictctl/model_details.h"
#include "client/predictctl/model_line.h"
#include "client/predictctl/table.h"
#include "client/predictctl/traffic_text.h"

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

void PrintAll(const v1::ListModelsResponse& response, std::ostream& out) {
  if (response.models().empty()) {
    out << "The server has no models.\n";
    return;
  }
  const bool split = std::any_of(response.models().begin(), response.models().end(),
                                 [](const v1::Model& model) { return model.has_traffic(); });
  std::vector<std::string> header = {"NAME", "KIND", "VERSIONS", "INPUTS", "OUTPUTS"};
  if (split) header.emplace_back("TRAFFIC");
  Table table(std::move(header));
  for (const v1::Model& model : response.models()) {
    std::vector<std::string> row = {model.name(), KindText(model.kind()), VersionsText(model), InputsText(model),
                                    OutputsText(model)};
    if (split) row.push_back(TrafficText(model.traffic()));
    table.AddRow(std::move(row));
  }
  out << table.Text("", kScreenColumns);
  std::ostringstream reasons;
  for (const v1::Model& model : response.models()) PrintReasons(model, absl::StrCat(model.name(), " "), reasons);
  if (!reasons.str().empty()) out << "\n" << reasons.str();
}

}  // namespace

int RunModels(const CommandContext& context, const ModelsArguments& arguments) {
  CallInfo info;
  if (arguments.name.empty()) {
    return FinishCommand(context, context.client.ListModels(context.MainCall(), &info), info, PrintAll);
  }
  return FinishCommand(context, context.client.GetModel(arguments.name, context.MainCall(), &info), info, PrintDetails);
}

}  // namespace predictd
