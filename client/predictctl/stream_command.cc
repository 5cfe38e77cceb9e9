#include "client/predictctl/stream_command.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/model_kind.h"
#include "client/predictctl/prepare_request.h"
#include "client/predictctl/request_cutter.h"
#include "client/predictctl/stream_printer.h"

namespace predictd {
namespace {

// Every server takes requests of this size.
constexpr std::size_t kAlwaysFits = 1024;

// The most bytes that a request for that model may have. Without an answer of the server, only our own limit counts:
// the call itself will say what is wrong.
std::int64_t MaxRequestBytes(const CommandContext& context, const v1::PredictStreamRequest& request) {
  const std::int64_t own = context.arguments.max_message_bytes;
  if (request.ByteSizeLong() <= kAlwaysFits) return own;
  const absl::StatusOr<v1::Model> model = context.client.GetModel(request.predict().model_name(), context.SideCall());
  if (!model.ok()) return own;
  // The input of a model that is not batched has no rows.
  if (!model->batched()) return std::numeric_limits<std::int64_t>::max();
  const std::int64_t limit = model->limits().max_message_bytes();
  return limit > 0 ? std::min(own, limit) : own;
}

// How the calls ended: an exit status if the user has been told already, and otherwise the last call's status.
struct Outcome {
  std::optional<int> exit_code = std::nullopt;
  absl::Status status = absl::OkStatus();
  CallInfo info = {};
};

// One call after the other, until one fails. All together have the time of one.
Outcome RunParts(const CommandContext& context, RequestCutter& cutter, StreamPrinter& printer) {
  const absl::Time start = absl::Now();
  Outcome outcome;
  do {
    const std::int64_t first_row = cutter.first_row();
    absl::StatusOr<v1::PredictStreamRequest> request = cutter.Next();
    if (!request.ok()) return {.exit_code = context.ReportLocal(request.status())};
    if (cutter.has_cut() && printer.model_version() > 0) {
      // The label may have moved on meanwhile.
      request->mutable_predict()->clear_model_label();
      request->mutable_predict()->set_model_version(printer.model_version());
    }
    CallOptions options = context.MainCall();
    options.deadline = std::max(context.arguments.deadline - (absl::Now() - start), absl::ZeroDuration());
    const absl::StatusOr<std::unique_ptr<PredictionStream>> stream = context.client.PredictStream(*request, options);
    if (!stream.ok()) return {.exit_code = context.FailCall(stream.status(), {})};
    printer.OnPart(
        {.first_row = first_row, .all_rows = cutter.rows(), .is_part = cutter.has_cut(), .is_last = cutter.at_end()});
    v1::PredictStreamResponse event;
    while (context.out && (*stream)->Next(&event)) {
      if (const absl::Status shown = printer.OnEvent(event); !shown.ok()) {
        return {.exit_code = context.ReportLocal(shown)};
      }
    }
    outcome.status = (*stream)->Finish(&outcome.info);
  } while (outcome.status.ok() && !cutter.at_end());
  if (cutter.has_cut()) {
    // Those of the server are only about the last part.
    outcome.info.timings.clear();
    outcome.info.elapsed = absl::Now() - start;
  }
  return outcome;
}

}  // namespace

int RunStream(const CommandContext& context, const StreamArguments& arguments, std::vector<Input> inputs) {
  v1::PredictStreamRequest request;
  if (const auto failed = PrepareRequest(context, arguments.predict, std::move(inputs), *request.mutable_predict())) {
    return *failed;
  }
  request.set_chunk_rows(arguments.chunk_rows);
  request.set_ordered(!arguments.unordered);
  if (arguments.per_item_errors) request.set_on_error(v1::CHUNK_ERROR_POLICY_PER_ITEM);

  const std::int64_t max_bytes = MaxRequestBytes(context, request);
  RequestCutter cutter(std::move(request), arguments.predict.encoding, max_bytes);
  StreamPrinter printer(context, arguments);
  const Outcome outcome = RunParts(context, cutter, printer);
  if (outcome.exit_code.has_value()) return *outcome.exit_code;
  printer.OnEnd(outcome.status, outcome.info);
  if (!outcome.status.ok()) {
    const std::string hint = WrongKindHint(context, outcome.status, arguments.predict.model, v1::MODEL_KIND_TENSOR);
    return context.ReportCall(outcome.status, outcome.info, hint);
  }
  if (const absl::Status saved = printer.Save(); !saved.ok()) return context.ReportLocal(saved);
  return printer.rows_failed() > 0 ? kExitRowsFailed : kExitOk;
}

}  // namespace predictd
