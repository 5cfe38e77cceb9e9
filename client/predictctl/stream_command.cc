#include "client/predictctl/stream_command.h"

#include <memory>
#include <utility>

#include "client/predictctl/call_report.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/json_output.h"
#include "client/predictctl/prepare_request.h"
#include "client/predictctl/print_outputs.h"
#include "client/predictctl/progress.h"
#include "client/predictctl/row_collector.h"

namespace predictd {
namespace {

// Lower than for a single answer: many results follow each other.
constexpr std::int64_t kAbbreviateAbove = 200;

// Shows the events of one stream, and keeps what has to be saved.
class EventPrinter {
 public:
  EventPrinter(const CommandContext& context, const StreamArguments& arguments)
      : context_(context),
        arguments_(arguments),
        style_(StyleOf(arguments.predict, kAbbreviateAbove)),
        progress_(context.err, context.err_is_terminal) {}

  // An answer that makes no sense: INVALID_ARGUMENT.
  absl::Status OnEvent(const v1::PredictStreamResponse& event) {
    progress_.Clear();
    absl::Status shown = event.has_rows() ? OnRows(event) : OnOther(event);
    context_.out.flush();
    progress_.Show(rows_ok_ + rows_failed_, total_rows_);
    return shown;
  }

  void OnEnd(const absl::Status& status, const CallInfo& info) {
    progress_.Clear();
    if (context_.arguments.json) {
      PrintLine(EndJson(status, info));
      return;
    }
    context_.out << rows_ok_ << " of " << total_rows_ << " rows answered";
    if (rows_failed_ > 0) context_.out << ", " << rows_failed_ << " failed";
    context_.out << "\n" << TimingsText(info) << "\n";
  }

  // For after the end.
  absl::Status Save() const {
    if (arguments_.predict.files.empty()) return absl::OkStatus();
    const absl::StatusOr<std::vector<v1::Tensor>> outputs = collector_.Assemble(total_rows_);
    if (!outputs.ok()) {
      return absl::Status(outputs.status().code(), "nothing was saved: " + std::string(outputs.status().message()));
    }
    return SaveOutputs(arguments_.predict.files, *outputs);
  }

  std::int64_t rows_failed() const { return rows_failed_; }

 private:
  void PrintLine(const nlohmann::ordered_json& line) { context_.out << JsonLine(line) << "\n"; }

  // Start and summary.
  absl::Status OnOther(const v1::PredictStreamResponse& event) {
    if (event.has_start()) total_rows_ = event.start().total_rows();
    if (context_.arguments.json) {
      PrintLine(MessageJson(event));
    } else if (event.has_start()) {
      const v1::StreamStart& start = event.start();
      context_.out << start.model_name() << " version " << start.model_version();
      if (!start.request_id().empty()) context_.out << ", request " << start.request_id();
      context_.out << ": " << start.total_rows() << " rows in " << start.total_chunks() << " results\n";
    }
    return absl::OkStatus();
  }

  absl::Status OnRows(const v1::PredictStreamResponse& event) {
    const v1::RowsResult& rows = event.rows();
    (rows.has_error() ? rows_failed_ : rows_ok_) += rows.row_count();
    const absl::StatusOr<std::vector<v1::Tensor>> outputs = RawOutputs(rows.outputs());
    if (!outputs.ok()) return outputs.status();
    Keep(rows, *outputs);
    if (context_.arguments.json) {
      nlohmann::ordered_json line = MessageJson(event);
      if (arguments_.predict.argmax && !rows.has_error()) line["argmax"] = ArgMaxJson(*outputs);
      PrintLine(line);
      return absl::OkStatus();
    }
    context_.out << "rows " << rows.first_row() << ":" << rows.first_row() + rows.row_count();
    if (rows.has_error()) {
      context_.out << " failed: " << ErrorText(DetailsOf(rows.error()), "  ");
      return absl::OkStatus();
    }
    context_.out << "\n";
    return PrintOutputs(*outputs, style_, arguments_.predict.argmax, context_.out);
  }

  void Keep(const v1::RowsResult& rows, const std::vector<v1::Tensor>& outputs) {
    if (arguments_.predict.files.empty() || rows.has_error()) return;
    v1::RowsResult kept;
    kept.set_first_row(rows.first_row());
    kept.set_row_count(rows.row_count());
    kept.mutable_outputs()->Add(outputs.begin(), outputs.end());
    collector_.Add(std::move(kept));
  }

  const CommandContext& context_;
  const StreamArguments& arguments_;
  const PrintStyle style_;
  Progress progress_;
  RowCollector collector_;
  std::int64_t total_rows_ = 0;
  std::int64_t rows_ok_ = 0;
  std::int64_t rows_failed_ = 0;
};

}  // namespace

int RunStream(const CommandContext& context, const StreamArguments& arguments, std::vector<Input> inputs) {
  v1::PredictStreamRequest request;
  if (const auto failed = PrepareRequest(context, arguments.predict, std::move(inputs), *request.mutable_predict())) {
    return *failed;
  }
  request.set_chunk_rows(arguments.chunk_rows);
  request.set_ordered(!arguments.unordered);
  if (arguments.per_item_errors) request.set_on_error(v1::CHUNK_ERROR_POLICY_PER_ITEM);

  const absl::StatusOr<std::unique_ptr<PredictionStream>> stream =
      context.client.PredictStream(request, context.MainCall());
  if (!stream.ok()) return context.ReportLocal(stream.status());
  EventPrinter printer(context, arguments);
  v1::PredictStreamResponse event;
  while ((*stream)->Next(&event)) {
    if (const absl::Status shown = printer.OnEvent(event); !shown.ok()) return context.ReportLocal(shown);
  }
  CallInfo info;
  const absl::Status status = (*stream)->Finish(&info);
  printer.OnEnd(status, info);
  if (!status.ok()) return context.ReportCall(status, info);
  if (const absl::Status saved = printer.Save(); !saved.ok()) return context.ReportLocal(saved);
  return printer.rows_failed() > 0 ? kExitRowsFailed : kExitOk;
}

}  // namespace predictd
