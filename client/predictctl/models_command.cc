#include "client/predictctl/models_command.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "client/data_type.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/json_output.h"
#include "client/predictctl/table.h"
#include "client/shape.h"

namespace predictd {
namespace {

// "ready" for MODEL_STATE_READY.
std::string PlainName(absl::string_view name, absl::string_view prefix) {
  return absl::AsciiStrToLower(absl::StartsWith(name, prefix) ? name.substr(prefix.size()) : name);
}

std::string KindText(v1::ModelKind kind) {
  return PlainName(v1::ModelKind_Name(kind), "MODEL_KIND_");
}

std::string StateText(v1::ModelState state) {
  return PlainName(v1::ModelState_Name(state), "MODEL_STATE_");
}

std::string TypeText(const v1::TensorSpec& spec) {
  return absl::StrCat(DataTypeName(spec.dtype()), ShapeText(spec.shape()));
}

template <typename Specs>
std::string SpecsText(const Specs& specs) {
  return absl::StrJoin(specs, ", ", [](std::string* out, const v1::TensorSpec& spec) {
    absl::StrAppend(out, spec.name(), " ", TypeText(spec));
  });
}

// What goes in and comes out, in a cell of the table.
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
  Table table({"NAME", "KIND", "VERSIONS", "INPUTS", "OUTPUTS"});
  for (const v1::Model& model : response.models()) {
    const std::string versions =
        absl::StrJoin(model.versions(), ", ", [](std::string* text, const v1::ModelVersion& version) {
          absl::StrAppend(text, version.version(), " ", StateText(version.state()));
        });
    table.AddRow({model.name(), KindText(model.kind()), versions, InputsText(model), OutputsText(model)});
  }
  out << table.Text();
}

template <typename Specs>
void PrintSpecs(absl::string_view title, const Specs& specs, std::ostream& out) {
  Table table({"NAME", "TYPE"});
  for (const v1::TensorSpec& spec : specs) table.AddRow({spec.name(), TypeText(spec)});
  out << title << "\n" << table.Text("  ");
}

void PrintVersions(const v1::Model& model, std::ostream& out) {
  Table versions({"VERSION", "STATE", "BACKEND", "REASON"});
  for (const v1::ModelVersion& version : model.versions()) {
    versions.AddRow({absl::StrCat(version.version()), StateText(version.state()), version.backend(), version.reason()});
  }
  out << "versions\n" << versions.Text("  ");
}

void PrintGenerator(const v1::GeneratorSpec& generator, std::ostream& out) {
  out << (generator.chat() ? "takes a prompt or a chat" : "takes a prompt") << "\n"
      << "at most " << generator.max_length() << " tokens of prompt and answer together\n"
      << "at most " << generator.slots() << " answers at the same time\n"
      << "vocabulary of " << generator.vocabulary_size() << " tokens\n";
}

void PrintOne(const v1::Model& model, std::ostream& out) {
  out << model.name();
  if (!model.description().empty()) out << ": " << model.description();
  out << "\n" << KindText(model.kind()) << " model";
  if (model.kind() == v1::MODEL_KIND_GENERATOR) {
    out << "\n";
    PrintGenerator(model.generator(), out);
    PrintVersions(model, out);
    return;
  }
  if (model.batched()) {
    out << ", batched: the first dimension counts rows, at most " << model.max_batch_size() << " in a request\n";
  } else {
    out << ", not batched\n";
  }
  PrintVersions(model, out);
  PrintSpecs("inputs", model.inputs(), out);
  PrintSpecs("outputs", model.outputs(), out);
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
  return Finish(context, context.client.GetModel(arguments.name, context.MainCall(), &info), info, PrintOne);
}

}  // namespace predictd
