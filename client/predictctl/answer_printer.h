// Shows answers on the screen while they are generated.
#ifndef PREDICTD_CLIENT_PREDICTCTL_ANSWER_PRINTER_H_
#define PREDICTD_CLIENT_PREDICTCTL_ANSWER_PRINTER_H_

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/call_info.h"
#include "client/predictctl/command_context.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {

// Shows the events of one generation: the text on `context.out` and the statistics on `context.err`, or everything as
// lines of JSON. Several answers arrive interleaved, and are shown one after the other. Used by one thread; `context`
// must outlive it.
class AnswerPrinter {
 public:
  // `answers` is their number, at least one.
  AnswerPrinter(const CommandContext& context, std::size_t answers);

  // INVALID_ARGUMENT for a piece of an answer that was not requested.
  absl::Status OnEvent(const v1::PredictStreamResponse& event);

  // Call this after the last event; it also shows what has arrived of answers that were not shown yet.
  void OnEnd(const absl::Status& status, const CallInfo& info);

  // What has arrived of the first answer.
  const std::string& first_text() const { return answers_.front().text(); }

 private:
  void Add(const v1::GenerationDelta& delta);
  // Shows as much as possible: of the current answer, and of the next ones when it is complete.
  void ShowWhatCame();
  void ShowCurrent();
  void GoOnToNext();
  void EndLine();
  void PrintHeading(std::ostream& out, std::size_t index) const;
  void PrintStatistics() const;

  const CommandContext& context_;
  std::vector<v1::GeneratedAnswer> answers_;
  v1::GenerationUsage usage_;
  std::size_t current_ = 0;  // The answer that is being shown.
  std::size_t shown_ = 0;    // How many bytes of it have been.
  bool heading_due_;
  bool line_is_open_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_ANSWER_PRINTER_H_
