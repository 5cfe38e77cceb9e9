#include "client/predictctl/generation_arguments.h"

#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "client/predictctl/repeatable_option.h"

namespace predictd {
namespace {

constexpr char kGenerateFooter[] =
    R"(The text goes to standard output, what it took to standard error. On a terminal, control characters of the model are
written out, as in \x1b.)";

constexpr char kChatFooter[] =
    R"(Each line of standard input is a question. Ctrl-C stops an answer; what has come of it stays in the conversation.
Ctrl-C at the prompt clears the line, Ctrl-D ends the chat. Where standard input is not a terminal, Ctrl-C and a call
that fails end it. At the limit of the model's context the oldest questions and answers are forgotten, which is said.
/help tells the commands that a line may hold.)";

template <typename Value>
void AddValue(CLI::App& app, const std::string& name, Value& value, const std::string& placeholder,
              const std::string& description) {
  app.add_option(name, value, description)->type_name(placeholder);
}

// CLI11 would take -1 for the largest seed.
void AddSeed(CLI::App& app, std::optional<std::uint64_t>& seed) {
  const auto parse = [&seed](const std::string& text) {
    std::uint64_t value = 0;
    if (!absl::SimpleAtoi(text, &value)) {
      throw CLI::ValidationError("--seed", "expected 0 to 18446744073709551615, got '" + text + "'");
    }
    seed = value;
  };
  app.add_option_function<std::string>("--seed", parse, "Makes answers repeatable [another one each time]")
      ->type_name("N");
}

void AddGeneration(CLI::App& app, GenerationArguments& arguments) {
  app.add_option("MODEL", arguments.model, "The model")->required();
  AddValue(app, "--system", arguments.system, "TEXT", "What the model is told before the conversation");
  AddValue(app, "--max-tokens", arguments.max_tokens, "N", "The most tokens of an answer [as many as fit]");
  AddValue(app, "--temperature", arguments.temperature, "X", "0 takes the likeliest token; 0 to 100 [the model's]");
  AddValue(app, "--top-k", arguments.top_k, "N", "Choose among so many of the likeliest tokens; 0: all [the model's]");
  AddValue(app, "--top-p", arguments.top_p, "X", "Choose among the likeliest with so much probability [the model's]");
  AddValue(app, "--min-p", arguments.min_p, "X",
           "Leave out what is below this part of the likeliest token [the model's]");
  AddValue(app, "--repetition-penalty", arguments.repetition_penalty, "X",
           "Divides logits of what was there [the model's]");
  AddValue(app, "--presence-penalty", arguments.presence_penalty, "X",
           "Taken off logits of what was generated [the model's]");
  AddValue(app, "--frequency-penalty", arguments.frequency_penalty, "X", "The same for each time it was [the model's]");
  AddSeed(app, arguments.seed);
  AddRepeatable(app, "--stop", arguments.stop, "TEXT", "Ends the answer, and is not part of it; may be repeated");
  AddRepeatable(app, "--template-arg", arguments.template_arguments, "NAME=JSON",
                "A variable of the chat template, as enable_thinking=false; may be repeated");
  app.add_flag("--ignore-end", arguments.ignore_end, "Go on where the model would end its answer");
  AddValue(app, "--n", arguments.n, "N", "Answers to give, 1 to 16; a chat goes on from the first [1]");
  AddValue(app, "--logprobs", arguments.logprobs, "N", "Print each token's log probability, and N alternatives");
  app.add_option("--version", arguments.version, "Version of the model [the newest that is ready]")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""));
  app.add_option("--label", arguments.label, "Label of a version, instead of its number");
  AddValue(app, "--request-id", arguments.request_id, "TEXT", "Echoed in the answer, and found in logs and traces");
}

}  // namespace

void AddGenerate(CLI::App& app, GenerateArguments& arguments) {
  AddGeneration(app, arguments.generation);
  AddValue(app, "PROMPT", arguments.prompt, "", "What to go on from; -, or none: standard input, less a last newline");
  app.add_flag("--chat", arguments.chat, "The prompt is a question in a chat, not a text to continue [with --system]");
  app.footer(kGenerateFooter);
}

void AddChat(CLI::App& app, ChatArguments& arguments) {
  AddGeneration(app, arguments.generation);
  app.footer(kChatFooter);
}

}  // namespace predictd
