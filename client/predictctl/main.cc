// predictctl: the command line of predictd.
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/client.h"
#include "client/predictctl/chat_command.h"
#include "client/predictctl/command_context.h"
#include "client/predictctl/command_line.h"
#include "client/predictctl/control_command.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/generate_command.h"
#include "client/predictctl/inputs.h"
#include "client/predictctl/interrupt_watcher.h"
#include "client/predictctl/models_command.h"
#include "client/predictctl/predict_command.h"
#include "client/predictctl/prompt.h"
#include "client/predictctl/split_command.h"
#include "client/predictctl/stream_command.h"
#include "client/predictctl/tls_arguments.h"
#include "client/predictctl/validate_command.h"
#include "client/predictctl/watch_command.h"

namespace predictd {
namespace {

int Complain(const absl::Status& status) {
  std::cerr << "predictctl: " << status.message() << "\n";
  return kExitLocalError;
}

const PredictArguments* PredictArgumentsOf(const CommandLine& line) {
  if (const auto* stream = std::get_if<StreamArguments>(&line.command)) return &stream->predict;
  return std::get_if<PredictArguments>(&line.command);
}

// What a command reads from standard input as a whole.
struct Material {
  std::vector<Input> inputs;
  std::string prompt;
};

absl::StatusOr<Material> ReadMaterial(const CommandLine& line) {
  Material material;
  if (const PredictArguments* predict = PredictArgumentsOf(line)) {
    absl::StatusOr<std::vector<Input>> inputs = ReadInputs(predict->inputs, predict->json_inputs, std::cin);
    if (!inputs.ok()) return inputs.status();
    material.inputs = *std::move(inputs);
  }
  if (const auto* generate = std::get_if<GenerateArguments>(&line.command)) {
    absl::StatusOr<std::string> prompt =
        ReadPrompt(generate->prompt, std::cin, static_cast<std::size_t>(line.common.max_message_bytes));
    if (!prompt.ok()) return prompt.status();
    material.prompt = *std::move(prompt);
  }
  return material;
}

// Runs the command with which it is called.
struct CommandRunner {
  const CommandContext& context;
  Material& material;
  Interrupts& interrupts;

  int operator()(const ModelsArguments& arguments) const {
    return arguments.watch ? RunWatch(context, arguments) : RunModels(context, arguments);
  }
  int operator()(const ControlArguments& arguments) const { return RunControl(context, arguments); }
  int operator()(const SplitArguments& arguments) const { return RunSplit(context, arguments); }
  int operator()(const PredictArguments& arguments) const {
    return RunPredict(context, arguments, std::move(material.inputs));
  }
  int operator()(const StreamArguments& arguments) const {
    return RunStream(context, arguments, std::move(material.inputs));
  }
  int operator()(const GenerateArguments& arguments) const { return RunGenerate(context, arguments, material.prompt); }
  int operator()(const ChatArguments& arguments) const {
    const ChatInput input{.in = std::cin, .is_terminal = isatty(STDIN_FILENO) != 0};
    return RunChat(context, arguments, input, interrupts);
  }
};

int Run(const CommandLine& line) {
  // What gRPC says about a call is in its status; it would appear a second time on standard error.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  // This comes before the watcher exists, so that Ctrl-C also ends a wait for standard input.
  absl::StatusOr<Material> material = ReadMaterial(line);
  if (!material.ok()) return Complain(material.status());
  const auto control = std::make_shared<CallControl>();
  Interrupts interrupts;
  interrupts.CancelOnInterrupt(control);
  const InterruptWatcher watcher(interrupts);
  const absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials = CredentialsOf(line.common.tls);
  if (!credentials.ok()) return Complain(credentials.status());
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Create({.address = line.common.address,
                      .metadata = line.common.headers,
                      .max_receive_bytes = line.common.max_message_bytes,
                      .max_send_bytes = line.common.max_message_bytes,
                      .keepalive_interval = line.common.keepalive_time,
                      .user_agent = "predictctl",
                      .credentials = *credentials,
                      .server_name = line.common.tls.server_name});
  if (!client.ok()) return Complain(client.status());
  const CommandContext context{.client = **client,
                               .arguments = line.common,
                               .control = control,
                               .out = std::cout,
                               .err = std::cerr,
                               .out_is_terminal = isatty(STDOUT_FILENO) != 0,
                               .err_is_terminal = isatty(STDERR_FILENO) != 0};
  const CommandRunner runner{context, *material, interrupts};
  const int exit_code = std::visit(runner, line.command);
  std::cout.flush();
  if (!std::cout) return Complain(absl::DataLossError("cannot write to standard output"));
  return exit_code;
}

int ParseAndRun(int argc, char** argv) {
  const ParsedCommandLine line = ParseCommandLine(argc, argv, std::cout, std::cerr);
  if (const auto* exit_code = std::get_if<int>(&line)) return *exit_code;
  if (const auto* validate = std::get_if<ValidateArguments>(&line)) return RunValidate(*validate, std::cerr);
  return Run(std::get<CommandLine>(line));
}

}  // namespace
}  // namespace predictd

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  try {
    return predictd::ParseAndRun(argc, argv);
  } catch (const std::bad_alloc&) {
    return predictd::Complain(absl::ResourceExhaustedError("out of memory"));
  } catch (const std::exception& error) {
    return predictd::Complain(absl::InternalError(std::string("unexpected error: ") + error.what()));
  }
}
