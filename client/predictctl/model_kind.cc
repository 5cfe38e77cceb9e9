#include "client/predictctl/model_kind.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace predictd {

std::string CommandHint(const std::string& model, v1::ModelKind kind) {
  if (kind == v1::MODEL_KIND_GENERATOR) {
    return absl::StrCat("it is a generator: predictctl generate ", model, " PROMPT, or predictctl chat ", model);
  }
  return absl::StrCat("it takes tensors: predictctl predict ", model, " --input NAME=...");
}

std::string WrongKindHint(const CommandContext& context, const absl::Status& status, const std::string& model,
                          v1::ModelKind wanted) {
  if (!absl::IsFailedPrecondition(status)) return "";
  const absl::StatusOr<v1::Model> found = context.client.GetModel(model, context.SideCall());
  return found.ok() && found->kind() != wanted ? CommandHint(model, found->kind()) : "";
}

}  // namespace predictd
