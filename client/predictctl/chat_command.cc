#include "client/predictctl/chat_command.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/predictctl/conversation.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/generation_call.h"
#include "client/predictctl/generation_request.h"
#include "client/predictctl/utf8.h"

namespace predictd {
namespace {

constexpr char kHelp[] =
    "/reset         forgets the conversation, but not the system message\n"
    "/system TEXT   sets the system message; without a text there is none\n"
    "/help          tells this\n"
    "//...          is a question that begins with a slash\n";

// One conversation at the command line.
class ChatSession {
 public:
  ChatSession(const CommandContext& context, const ChatArguments& arguments, const ChatInput& input,
              Interrupts& interrupts)
      : context_(context),
        arguments_(arguments),
        input_(input),
        interrupts_(interrupts),
        conversation_(arguments.generation.system) {}

  int Run() {
    if (input_.is_terminal) {
      if (const std::optional<int> failed = Greet()) return *failed;
    }
    interrupts_.Aim(nullptr);
    std::string line;
    while (context_.out && ReadLine(line)) {
      const int exit_code = OnLine(line);
      if (interrupts_.terminated()) return kExitInterrupted;
      if (!input_.is_terminal && exit_code != kExitOk) return exit_code;
    }
    if (input_.is_terminal) context_.err << "\n";
    return kExitOk;
  }

 private:
  // Also finds out whether there is such a model, before anything is typed. Returns the exit status if there is not.
  std::optional<int> Greet() {
    CallInfo info;
    const absl::StatusOr<v1::Model> model =
        context_.client.GetModel(arguments_.generation.model, context_.SideCall(), &info);
    if (!model.ok()) return context_.FailCall(model.status(), info);
    context_.err << model->name();
    if (!model->description().empty()) context_.err << ": " << model->description();
    context_.err << "\nCtrl-C stops an answer, Ctrl-D ends the chat, /help tells more.\n";
    return std::nullopt;
  }

  bool ReadLine(std::string& line) {
    if (input_.is_terminal) context_.err << "> " << std::flush;
    return static_cast<bool>(std::getline(input_.in, line));
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
  // knows what its user has read; a question that got no answer at all does not.
  int Ask(const std::string& question) {
    const auto control = std::make_shared<CallControl>();
    CommandContext turn = context_;
    turn.control = control;
    v1::PredictStreamRequest request = GenerationRequestOf(arguments_.generation);
    *request.mutable_predict()->mutable_generation()->mutable_chat() = conversation_.Ask(question);
    interrupts_.Aim(control);
    const GenerationOutcome outcome = Generate(turn, request);
    interrupts_.Aim(nullptr);
    if (!outcome.text.empty()) conversation_.Add(question, outcome.text);
    return outcome.exit_code == kExitInterrupted ? kExitOk : outcome.exit_code;
  }

  const CommandContext& context_;
  const ChatArguments& arguments_;
  const ChatInput& input_;
  Interrupts& interrupts_;
  Conversation conversation_;
};

}  // namespace

int RunChat(const CommandContext& context, const ChatArguments& arguments, const ChatInput& input,
            Interrupts& interrupts) {
  return ChatSession(context, arguments, input, interrupts).Run();
}

}  // namespace predictd
