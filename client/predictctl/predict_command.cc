#include "client/predictctl/predict_command.h"

#include <utility>

#include "client/predictctl/call_report.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/json_output.h"
#include "client/predictctl/model_kind.h"
#include "client/predictctl/prepare_request.h"
#include "client/predictctl/print_outputs.h"

namespace predictd {
namespace {

absl::Status Print(const CommandContext& context, const PredictArguments& arguments,
                   const v1::PredictResponse& response, const std::vector<v1::Tensor>& outputs, const CallInfo& info) {
  if (context.arguments.json) {
    nlohmann::ordered_json document = {{"response", MessageJson(response)}};
    if (arguments.argmax) document["argmax"] = ArgMaxJson(outputs);
    document["timings"] = TimingsJson(info);
    context.out << JsonDocument(document) << "\n";
    return absl::OkStatus();
  }
  context.out << response.model_name() << " version " << response.model_version();
  if (!response.request_id().empty()) context.out << ", request " << response.request_id();
  context.out << "\n";
  absl::Status printed = PrintOutputs(outputs, StyleOf(arguments), arguments.argmax, context.out);
  context.out << TimingsText(info) << "\n";
  return printed;
}

}  // namespace

int RunPredict(const CommandContext& context, const PredictArguments& arguments, std::vector<Input> inputs) {
  v1::PredictRequest request;
  if (const auto failed = PrepareRequest(context, arguments, std::move(inputs), request)) return *failed;
  if (const absl::Status encoded = EncodeInputs(arguments.encoding, request); !encoded.ok()) {
    return context.ReportLocal(encoded);
  }
  CallInfo info;
  const absl::StatusOr<v1::PredictResponse> response = context.client.Predict(request, context.MainCall(), &info);
  if (!response.ok()) {
    return context.FailCall(response.status(), info,
                            WrongKindHint(context, response.status(), arguments.model, v1::MODEL_KIND_TENSOR));
  }
  const absl::StatusOr<std::vector<v1::Tensor>> outputs = RawOutputs(response->outputs());
  if (!outputs.ok()) return context.ReportLocal(outputs.status());
  if (absl::Status done = Print(context, arguments, *response, *outputs, info); !done.ok()) {
    return context.ReportLocal(done);
  }
  if (absl::Status saved = SaveOutputs(arguments.files, *outputs); !saved.ok()) return context.ReportLocal(saved);
  return kExitOk;
}

}  // namespace predictd
