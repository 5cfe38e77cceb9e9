#include "client/predictctl/chat_command.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/predictctl/conversation.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/generation_call.h"
#include "client/predictctl/generation_request.h"
#include "client/predictctl/line_reader.h"
#include "client/predictctl/template_arguments.h"
#include "client/predictctl/utf8.h"

namespace predictd {
namespace {

constexpr char kPrompt[] = "> ";

constexpr char kHelp[] =
    "/reset         forgets the conversation, but not the system message\n"
    "/system TEXT   sets the system message; without a text there is none\n"
    "/help          tells this\n"
    "//...          is a question that begins with a slash\n";

// One conversation on the command line.
class ChatSession {
 public:
  ChatSession(const CommandContext& context, const ChatArguments& arguments, const ChatInput& input,
              Interrupts& interrupts, TemplateArguments template_arguments)
      : context_(context),
        arguments_(arguments),
        input_(input),
        interrupts_(interrupts),
        lines_(input.in, static_cast<std::size_t>(context.arguments.max_message_bytes)),
        conversation_(arguments.generation.system, std::move(template_arguments)) {}

  int Run() {
    if (input_.is_terminal) {
      if (const std::optional<int> failed = Greet()) return *failed;
    }
    ExpectLateInterrupts();
    std::string line;
    while (context_.out) {
      const absl::Status read = ReadLine(line);
      if (absl::IsOutOfRange(read)) break;
      const int exit_code = read.ok() ? OnLine(line) : context_.ReportLocal(read);
      if (interrupts_.terminated()) return kExitInterrupted;
      if (!input_.is_terminal && exit_code != kExitOk) return exit_code;
    }
    if (input_.is_terminal) context_.err << "\n";
    return kExitOk;
  }

 private:
  // Also checks that the model exists, before anything is typed. Returns the exit status if it does not.
  std::optional<int> Greet() {
    CallInfo info;
    const absl::StatusOr<v1::Model> model =
        context_.client.GetModel(arguments_.generation.model, context_.SideCall(), &info);
    if (!model.ok()) return context_.FailCall(model.status(), info);
    context_.err << model->name();
    if (!model->description().empty()) context_.err << ": " << model->description();
    context_.err << "\nCtrl-C stops an answer or clears the line, Ctrl-D ends the chat, /help tells more.\n";
    return std::nullopt;
  }

  // Reads a line that a person may drop by Ctrl-C while typing it.
  absl::Status ReadLine(std::string& line) {
    if (!input_.is_terminal) return lines_.Read(line);
    context_.err << kPrompt << std::flush;
    interrupts_.DropPromptOnInterrupt([this] {
      lines_.Drop();
      context_.err << "\n" << kPrompt << std::flush;
    });
    absl::Status read = lines_.Read(line);
    ExpectLateInterrupts();
    return read;
  }

  // A person who interrupts an answer too late does not want to leave.
  void ExpectLateInterrupts() {
    if (input_.is_terminal) {
      interrupts_.DropPromptOnInterrupt([] {});
    } else {
      interrupts_.CancelOnInterrupt(nullptr);
    }
  }

  int OnLine(const std::string& line) {
    if (!IsUtf8(line)) return context_.ReportLocal(absl::InvalidArgumentError("this line is not UTF-8"));
    if (absl::StripAsciiWhitespace(line).empty()) return kExitOk;
    if (absl::StartsWith(line, "//")) return Ask(line.substr(1));
    return absl::StartsWith(line, "/") ? OnCommand(std::string(absl::StripAsciiWhitespace(line))) : Ask(line);
  }

  int OnCommand(const std::string& line) {
    const std::string name = line.substr(0, line.find(' '));
    const std::string text(absl::StripLeadingAsciiWhitespace(line.substr(name.size())));
    if (name == "/system") {
      conversation_.SetSystem(text.empty() ? std::nullopt : std::optional(text));
    } else if (name == "/reset" && text.empty()) {
      conversation_.Reset();
    } else if (name == "/help" && text.empty()) {
      context_.err << kHelp;
    } else {
      return context_.ReportLocal(
          absl::InvalidArgumentError(absl::StrCat("no command '", line, "'; /help lists them")));
    }
    return kExitOk;
  }

  // An answer that was interrupted is no failure. What was shown of it stays in the conversation, so that the model
  // knows what the user has read; a question that got no answer at all does not stay. What has no room in the model's
  // context is forgotten, the oldest first, if the question is answered without it.
  int Ask(const std::string& question) {
    const auto control = std::make_shared<CallControl>();
    CommandContext turn = context_;
    turn.control = control;
    v1::PredictStreamRequest request = GenerationRequestOf(arguments_.generation);
    Conversation kept = conversation_;
    std::string note;
    interrupts_.CancelOnInterrupt(control);
    GenerationOutcome outcome;
    for (int dropped = 0;;) {
      *request.mutable_predict()->mutable_generation()->mutable_chat() = kept.Ask(question);
      outcome = Generate(turn, request, {.possible = kept.turns() > 0, .note = note});
      if (!outcome.prompt_too_long) break;
      dropped += kept.DropOlderHalf();
      note = absl::StrCat("predictctl: the conversation is too long for the model: forgot the oldest ", dropped,
                          dropped == 1 ? " question and its answer\n" : " questions and their answers\n");
    }
    ExpectLateInterrupts();
    if (!outcome.text.empty()) {
      kept.Add(question, outcome.text);
      conversation_ = std::move(kept);
    }
    return outcome.exit_code == kExitInterrupted ? kExitOk : outcome.exit_code;
  }

  const CommandContext& context_;
  const ChatArguments& arguments_;
  const ChatInput& input_;
  Interrupts& interrupts_;
  LineReader lines_;
  Conversation conversation_;
};

}  // namespace

int RunChat(const CommandContext& context, const ChatArguments& arguments, const ChatInput& input,
            Interrupts& interrupts) {
  absl::StatusOr<TemplateArguments> variables = ReadTemplateArguments(arguments.generation.template_arguments);
  if (!variables.ok()) return context.ReportLocal(variables.status());
  return ChatSession(context, arguments, input, interrupts, *std::move(variables)).Run();
}

}  // namespace predictd
