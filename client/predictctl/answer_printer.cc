#include "client/predictctl/answer_printer.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/predictctl/generation_report.h"
#include "client/predictctl/json_output.h"
#include "client/predictctl/terminal_text.h"

namespace predictd {

AnswerPrinter::AnswerPrinter(const CommandContext& context, std::size_t answers)
    : context_(context), answers_(answers), heading_due_(answers > 1) {}

absl::Status AnswerPrinter::OnEvent(const v1::PredictStreamResponse& event) {
  if (event.has_delta()) {
    const int index = event.delta().index();
    if (index < 0 || static_cast<std::size_t>(index) >= answers_.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the answer is malformed: a piece of answer ", index, " of ", answers_.size(), ", from 0"));
    }
    Add(event.delta());
  }
  if (event.has_summary()) usage_ = event.summary().usage();
  if (context_.arguments.json) {
    context_.out << JsonLine(MessageJson(event)) << "\n";
  } else if (event.has_delta()) {
    ShowWhatCame();
  }
  context_.out.flush();
  return absl::OkStatus();
}

void AnswerPrinter::OnEnd(const absl::Status& status, const CallInfo& info) {
  if (context_.arguments.json) {
    context_.out << JsonLine(EndJson(status, info)) << "\n";
  } else {
    EndLine();
    while (current_ + 1 < answers_.size()) {
      GoOnToNext();
      if (!answers_[current_].text().empty()) ShowCurrent();
      EndLine();
    }
  }
  context_.out.flush();
  if (status.ok() && !context_.arguments.json) PrintStatistics();
}

void AnswerPrinter::Add(const v1::GenerationDelta& delta) {
  v1::GeneratedAnswer& answer = answers_[static_cast<std::size_t>(delta.index())];
  answer.mutable_text()->append(delta.text());
  for (const v1::GeneratedToken& token : delta.tokens()) {
    if (token.has_logprob()) *answer.add_tokens() = token;
  }
  if (delta.finish_reason() != v1::FINISH_REASON_UNSPECIFIED) answer.set_finish_reason(delta.finish_reason());
}

void AnswerPrinter::ShowWhatCame() {
  ShowCurrent();
  while (answers_[current_].finish_reason() != v1::FINISH_REASON_UNSPECIFIED && current_ + 1 < answers_.size()) {
    GoOnToNext();
    ShowCurrent();
  }
}

void AnswerPrinter::ShowCurrent() {
  if (heading_due_) PrintHeading(context_.out, current_);
  heading_due_ = false;
  const absl::string_view text = absl::string_view(answers_[current_].text()).substr(shown_);
  if (text.empty()) return;
  if (context_.out_is_terminal) {
    context_.out << TerminalText(text);
  } else {
    context_.out << text;
  }
  shown_ += text.size();
  line_is_open_ = text.back() != '\n';
}

void AnswerPrinter::GoOnToNext() {
  EndLine();
  ++current_;
  shown_ = 0;
  heading_due_ = true;
}

void AnswerPrinter::EndLine() {
  if (line_is_open_) context_.out << "\n";
  line_is_open_ = false;
}

void AnswerPrinter::PrintHeading(std::ostream& out, std::size_t index) const {
  out << "--- answer " << index + 1 << " of " << answers_.size() << " ---\n";
}

void AnswerPrinter::PrintStatistics() const {
  std::vector<v1::FinishReason> finish_reasons;
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    finish_reasons.push_back(answers_[i].finish_reason());
    if (answers_[i].tokens().empty()) continue;
    if (answers_.size() > 1) PrintHeading(context_.err, i);
    context_.err << LogprobsText(answers_[i].tokens());
  }
  context_.err << UsageText(usage_, finish_reasons) << "\n";
}

}  // namespace predictd
