#include "client/predictctl/prepare_request.h"

#include <utility>

#include "client/tensor_encoding.h"

namespace predictd {

std::optional<int> PrepareRequest(const CommandContext& context, const PredictArguments& arguments,
                                  std::vector<Input> inputs, v1::PredictRequest& request) {
  v1::Model model;
  if (NeedSignature(inputs)) {
    CallInfo info;
    absl::StatusOr<v1::Model> found = context.client.GetModel(arguments.model, context.SideCall(), &info);
    if (!found.ok()) return context.FailCall(found.status(), info);
    model = *std::move(found);
  }
  absl::StatusOr<std::vector<v1::Tensor>> tensors = ResolveInputs(std::move(inputs), model, arguments.rows);
  if (!tensors.ok()) return context.ReportLocal(tensors.status());
  for (v1::Tensor& tensor : *tensors) {
    if (arguments.encoding == Encoding::kTyped) {
      if (const absl::Status encoded = EncodeTyped(tensor); !encoded.ok()) return context.ReportLocal(encoded);
    }
    *request.add_inputs() = std::move(tensor);
  }
  request.set_model_name(arguments.model);
  request.set_model_version(arguments.version);
  request.set_request_id(arguments.request_id);
  request.mutable_outputs()->Add(arguments.outputs.begin(), arguments.outputs.end());
  return std::nullopt;
}

}  // namespace predictd
