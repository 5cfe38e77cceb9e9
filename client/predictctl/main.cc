// predictctl: the command line of predictd.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <utility>

#include "client/client.h"
#include "client/predictctl/command_context.h"
#include "client/predictctl/command_line.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/inputs.h"
#include "client/predictctl/interrupt_watcher.h"
#include "client/predictctl/models_command.h"
#include "client/predictctl/predict_command.h"
#include "client/predictctl/stream_command.h"

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

int Run(const CommandLine& line) {
  // Before the watcher exists, so that Ctrl-C also ends a wait for standard input.
  std::vector<Input> inputs;
  if (const PredictArguments* predict = PredictArgumentsOf(line)) {
    absl::StatusOr<std::vector<Input>> read = ReadInputs(predict->inputs, predict->json_inputs, std::cin);
    if (!read.ok()) return Complain(read.status());
    inputs = *std::move(read);
  }
  const auto control = std::make_shared<CallControl>();
  const InterruptWatcher watcher(control);
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Create({.address = line.common.address, .metadata = line.common.headers, .user_agent = "predictctl"});
  if (!client.ok()) return Complain(client.status());
  const CommandContext context{.client = **client,
                               .arguments = line.common,
                               .control = control,
                               .out = std::cout,
                               .err = std::cerr,
                               .err_is_terminal = isatty(STDERR_FILENO) != 0};
  int exit_code = kExitOk;
  if (const auto* models = std::get_if<ModelsArguments>(&line.command)) {
    exit_code = RunModels(context, *models);
  } else if (const auto* predict = std::get_if<PredictArguments>(&line.command)) {
    exit_code = RunPredict(context, *predict, std::move(inputs));
  } else {
    exit_code = RunStream(context, std::get<StreamArguments>(line.command), std::move(inputs));
  }
  std::cout.flush();
  if (!std::cout) return Complain(absl::DataLossError("cannot write to standard output"));
  return exit_code;
}

}  // namespace
}  // namespace predictd

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const auto line = predictd::ParseCommandLine(argc, argv, std::cout, std::cerr);
  if (const auto* exit_code = std::get_if<int>(&line)) return *exit_code;
  return predictd::Run(std::get<predictd::CommandLine>(line));
}
