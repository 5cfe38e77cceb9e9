#include "client/predictctl/stream_printer.h"

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/predictctl/call_report.h"
#include "client/predictctl/json_output.h"
#include "client/predictctl/output_file.h"
#include "client/predictctl/print_outputs.h"

namespace predictd {

StreamPrinter::StreamPrinter(const CommandContext& context, const StreamArguments& arguments)
    : context_(context),
      arguments_(arguments),
      style_(StyleOf(arguments.predict)),
      progress_(context.err, context.err_is_terminal) {}

void StreamPrinter::OnPart(const StreamPart& part) {
  part_ = part;
  part_rows_ = 0;
  part_rows_seen_ = 0;
}

absl::Status StreamPrinter::OnEvent(v1::PredictStreamResponse& event) {
  progress_.Clear();
  absl::Status shown;
  if (event.has_rows()) {
    shown = OnRows(event);
  } else if (event.has_start()) {
    shown = OnStart(event);
  } else if (event.has_summary()) {
    OnSummary(event);
  } else if (context_.arguments.json) {
    PrintLine(MessageJson(event));
  }
  context_.out.flush();
  progress_.Show(rows_ok_ + rows_failed_, total_rows_);
  return shown;
}

void StreamPrinter::OnEnd(const absl::Status& status, const CallInfo& info) {
  progress_.Clear();
  if (context_.arguments.json) {
    PrintLine(EndJson(status, info));
    return;
  }
  if (!started_) return;
  context_.out << rows_ok_ << " of " << total_rows_ << " rows answered";
  if (rows_failed_ > 0) context_.out << ", " << rows_failed_ << " failed";
  context_.out << "\n" << TimingsText(info) << "\n";
}

absl::Status StreamPrinter::Save() const {
  if (arguments_.predict.files.empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<v1::Tensor>> outputs = collector_.Assemble(total_rows_);
  if (!outputs.ok()) {
    return absl::Status(outputs.status().code(), "nothing was saved: " + std::string(outputs.status().message()));
  }
  return SaveOutputs(arguments_.predict.files, *outputs);
}

void StreamPrinter::PrintLine(const nlohmann::ordered_json& line) {
  context_.out << JsonLine(line) << "\n";
}

absl::Status StreamPrinter::OnStart(v1::PredictStreamResponse& event) {
  v1::StreamStart& start = *event.mutable_start();
  part_rows_ = start.total_rows();
  if (part_.is_part && part_rows_ > part_.all_rows - part_.first_row) {
    return absl::InvalidArgumentError(absl::StrCat("the answer is malformed: it is about ", part_rows_, " rows"));
  }
  model_version_ = start.model_version();
  if (part_.is_part) {
    start.set_total_rows(part_.all_rows);
    // Nobody knows yet how many results the other parts will have.
    start.clear_total_chunks();
  }
  total_rows_ = start.total_rows();
  if (std::exchange(started_, true)) return absl::OkStatus();
  if (context_.arguments.json) {
    PrintLine(MessageJson(event));
    return absl::OkStatus();
  }
  context_.out << start.model_name() << " version " << start.model_version();
  if (!start.request_id().empty()) context_.out << ", request " << start.request_id();
  context_.out << ": " << start.total_rows() << " rows";
  if (part_.is_part) {
    context_.out << ", in several requests\n";
  } else {
    context_.out << " in " << start.total_chunks() << " results\n";
  }
  return absl::OkStatus();
}

void StreamPrinter::OnSummary(v1::PredictStreamResponse& event) {
  if (!part_.is_last || !context_.arguments.json) return;
  if (part_.is_part) {
    event.mutable_summary()->set_rows_ok(rows_ok_);
    event.mutable_summary()->set_rows_failed(rows_failed_);
  }
  PrintLine(MessageJson(event));
}

absl::Status StreamPrinter::OnRows(v1::PredictStreamResponse& event) {
  v1::RowsResult& rows = *event.mutable_rows();
  if (absl::Status good = CheckRows(rows); !good.ok()) return good;
  part_rows_seen_ += rows.row_count();
  (rows.has_error() ? rows_failed_ : rows_ok_) += rows.row_count();
  rows.set_first_row(part_.first_row + rows.first_row());
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

// Sums of numbers that a server makes up would overflow.
absl::Status StreamPrinter::CheckRows(const v1::RowsResult& rows) const {
  const std::int64_t left = part_rows_ - part_rows_seen_;
  const bool good = rows.first_row() >= 0 && rows.row_count() >= 0 && rows.row_count() <= left &&
                    rows.first_row() <= part_rows_ - rows.row_count();
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the answer is malformed: it has ", rows.row_count(), " rows from ",
                                                 rows.first_row(), " on, where ", left, " of ", part_rows_,
                                                 " are left"));
}

void StreamPrinter::Keep(const v1::RowsResult& rows, const std::vector<v1::Tensor>& outputs) {
  if (arguments_.predict.files.empty() || rows.has_error()) return;
  v1::RowsResult kept;
  kept.set_first_row(rows.first_row());
  kept.set_row_count(rows.row_count());
  kept.mutable_outputs()->Add(outputs.begin(), outputs.end());
  collector_.Add(std::move(kept));
}

}  // namespace predictd
