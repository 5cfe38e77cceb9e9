// Shows the rows of a stream on the screen while they come.
#ifndef PREDICTD_CLIENT_PREDICTCTL_STREAM_PRINTER_H_
#define PREDICTD_CLIENT_PREDICTCTL_STREAM_PRINTER_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/status/status.h"
#include "client/call_info.h"
#include "client/predictctl/command_context.h"
#include "client/predictctl/command_line.h"
#include "client/predictctl/print_tensor.h"
#include "client/predictctl/progress.h"
#include "client/predictctl/row_collector.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {

// The rows that a stream answers.
struct StreamPart {
  std::int64_t first_row = 0;
  // Of all parts together.
  std::int64_t all_rows = 0;
  // Whether the stream answers only a part of the rows, and whether that is the last one.
  bool is_part = false;
  bool is_last = true;
};

// Shows the events of the streams that a request was cut into as those of one stream, and keeps what has to be saved.
// Used by one thread; context and arguments must outlive it.
class StreamPrinter {
 public:
  StreamPrinter(const CommandContext& context, const StreamArguments& arguments);

  // Call this before the events of each stream.
  void OnPart(const StreamPart& part);

  // Shows an event, which it changes to one of the whole stream. INVALID_ARGUMENT for one that makes no sense.
  absl::Status OnEvent(v1::PredictStreamResponse& event);

  // Call this after the last stream.
  void OnEnd(const absl::Status& status, const CallInfo& info);

  // Saves the outputs; call this after the end of the last stream.
  absl::Status Save() const;

  std::int64_t rows_failed() const { return rows_failed_; }

  // The version that answered the first stream; 0 before that.
  std::int64_t model_version() const { return model_version_; }

 private:
  void PrintLine(const nlohmann::ordered_json& line);
  absl::Status OnStart(v1::PredictStreamResponse& event);
  void OnSummary(v1::PredictStreamResponse& event);
  absl::Status OnRows(v1::PredictStreamResponse& event);
  absl::Status CheckRows(const v1::RowsResult& rows) const;
  void Keep(const v1::RowsResult& rows, const std::vector<v1::Tensor>& outputs);

  const CommandContext& context_;
  const StreamArguments& arguments_;
  const PrintStyle style_;
  Progress progress_;
  RowCollector collector_;
  StreamPart part_;
  // Those of the part, as the server says, and how many of them have come.
  std::int64_t part_rows_ = 0;
  std::int64_t part_rows_seen_ = 0;
  bool started_ = false;
  std::int64_t model_version_ = 0;
  std::int64_t total_rows_ = 0;
  std::int64_t rows_ok_ = 0;
  std::int64_t rows_failed_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_STREAM_PRINTER_H_
