#include "client/predictctl/prepare_request.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/predictctl/model_kind.h"
#include "client/predictctl/utf8.h"
#include "client/tensor_encoding.h"

namespace predictd {
namespace {

// Moves strings to the text field, so that JSON shows them as they are.
void MoveToText(v1::Tensor& tensor) {
  const auto& elements = tensor.bytes_values();
  if (!std::all_of(elements.begin(), elements.end(), [](const std::string& element) { return IsUtf8(element); }))
    return;
  tensor.mutable_string_values()->Swap(tensor.mutable_bytes_values());
}

}  // namespace

std::optional<int> PrepareRequest(const CommandContext& context, const PredictArguments& arguments,
                                  std::vector<Input> inputs, v1::PredictRequest& request) {
  v1::Model model;
  if (arguments.cast || NeedSignature(inputs)) {
    CallInfo info;
    absl::StatusOr<v1::Model> found = context.client.GetModel(arguments.model, context.SideCall(), &info);
    if (!found.ok()) return context.FailCall(found.status(), info);
    model = *std::move(found);
    if (model.kind() == v1::MODEL_KIND_GENERATOR) {
      const absl::Status wrong = absl::FailedPreconditionError(
          absl::StrCat("model '", arguments.model, "' generates text: it has no inputs and outputs"));
      return context.FailCall(wrong, {}, CommandHint(arguments.model, model.kind()));
    }
  }
  absl::StatusOr<std::vector<v1::Tensor>> tensors =
      ResolveInputs(std::move(inputs), model, arguments.rows, arguments.cast);
  if (!tensors.ok()) return context.ReportLocal(tensors.status());
  for (v1::Tensor& tensor : *tensors) *request.add_inputs() = std::move(tensor);
  request.set_model_name(arguments.model);
  request.set_model_version(arguments.version);
  request.set_model_label(arguments.label);
  request.set_request_id(arguments.request_id);
  request.mutable_outputs()->Add(arguments.outputs.begin(), arguments.outputs.end());
  auto& parameters = *request.mutable_parameters();
  if (arguments.encoding == Encoding::kTyped) parameters["output_encoding"].set_string_value("text");
  if (arguments.priority.has_value()) parameters["priority"].set_int64_value(*arguments.priority);
  if (arguments.no_cache) parameters["cache"].set_bool_value(false);
  return std::nullopt;
}

absl::Status EncodeInputs(Encoding encoding, v1::PredictRequest& request) {
  if (encoding == Encoding::kRaw) return absl::OkStatus();
  for (v1::Tensor& tensor : *request.mutable_inputs()) {
    if (absl::Status encoded = EncodeTyped(tensor); !encoded.ok()) return encoded;
    MoveToText(tensor);
  }
  return absl::OkStatus();
}

}  // namespace predictd
