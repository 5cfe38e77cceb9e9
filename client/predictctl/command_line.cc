#include "client/predictctl/command_line.h"

#include <CLI/CLI.hpp>
#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/repeatable_option.h"

namespace predictd {
namespace {

constexpr char kFooter[] = R"(Examples:
  predictctl models
  predictctl predict digits --input image=@digits.npy --rows 0:4 --argmax
  predictctl predict linear --input '[[1, 2, 3, 4]]' --deadline 50ms
  echo '{"x": [[1, 2], [3, 4]]}' | predictctl predict linear --json-input - --json
  predictctl stream digits --input @digits.npy --chunk-rows 32 --out logits=logits.npy
  predictctl generate smollm2 "Once upon a time" --max-tokens 50 --seed 1
  predictctl chat smollm2 --system "Answer in one sentence."
'predictctl COMMAND --help' lists a command's options.

Exit status:
  0    the call ended well
  2    wrong usage, an input that cannot be read, an output that cannot be written
  3    a stream ended well, but some of its rows were answered with an error
  10+N the call failed with gRPC code N: 11 CANCELLED, 12 UNKNOWN, 13 INVALID_ARGUMENT, 14 DEADLINE_EXCEEDED,
       15 NOT_FOUND, 17 PERMISSION_DENIED, 18 RESOURCE_EXHAUSTED, 19 FAILED_PRECONDITION, 22 UNIMPLEMENTED,
       23 INTERNAL, 24 UNAVAILABLE, 26 UNAUTHENTICATED
  130  interrupted: the first Ctrl-C cancels the call, a second one does not wait for its end)";

constexpr char kInputFooter[] = R"(Inputs:
  NAME=@FILE.npy   a NumPy array, sent with its own dtype
  NAME=@FILE.json  nested JSON arrays in a file ('@-': standard input)
  NAME=JSON        the same on the command line, as in 'x=[[1.5, 2], [3, "NaN"]]'
The shape of JSON follows from its nesting, its type from the model's signature. 'NAME=' may be left out if the model
has a single input.

Options of every command (--address, --deadline, --header, --json) and exit statuses: predictctl --help)";

// Wraps a parser of our own as a CLI11 callback.
template <typename Parse, typename Value>
auto Into(const std::string& option, Parse parse, Value& value) {
  return [option, parse, &value](const std::string& text) {
    auto parsed = parse(text);
    if (!parsed.ok()) throw CLI::ValidationError(option, std::string(parsed.status().message()));
    value = *std::move(parsed);
  };
}

absl::StatusOr<absl::Duration> ParseDeadline(const std::string& text) {
  absl::Duration deadline;
  if (!absl::ParseDuration(text, &deadline) || deadline < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("expected a duration as in 250ms or 1.5s, got '", text, "'"));
  }
  return deadline == absl::ZeroDuration() ? absl::InfiniteDuration() : deadline;
}

absl::StatusOr<std::pair<std::string, std::string>> ParseHeader(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(absl::StrCat("expected KEY=VALUE, got '", text, "'"));
  }
  return std::pair(absl::AsciiStrToLower(text.substr(0, equals)), text.substr(equals + 1));
}

void AddCommon(CLI::App& app, CommonArguments& arguments, std::vector<std::string>& headers) {
  app.add_option("--address", arguments.address, "The server")
      ->type_name("HOST:PORT")
      ->envname("PREDICTD_ADDRESS")
      ->capture_default_str();
  app.add_option_function<std::string>("--deadline", Into("--deadline", ParseDeadline, arguments.deadline),
                                       "Of a call, as in 250ms; 0: none [30s; none for text]")
      ->type_name("DURATION");
  AddRepeatable(app, "--header", headers, "KEY=VALUE", "Metadata to send; may be repeated");
  app.add_flag("--json", arguments.json, "One JSON document, or a line of JSON for each event of a stream");
}

void AddPredict(CLI::App& app, PredictArguments& arguments, std::vector<std::string>& files) {
  app.add_option("MODEL", arguments.model, "The model")->required();
  AddRepeatable(app, "--input", arguments.inputs, "[NAME=]@FILE|JSON", "An input, see below; may be repeated");
  AddRepeatable(app, "--json-input", arguments.json_inputs, "FILE|-",
                "Inputs as a JSON object of names and nested arrays");
  app.add_option_function<std::string>("--rows", Into("--rows", ParseRowRange, arguments.rows),
                                       "Only these rows of the inputs, counted from 0; END is not among them")
      ->type_name("FIRST:END");
  app.add_option("--version", arguments.version, "Version of the model [the newest that is ready]")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""));
  AddRepeatable(app, "--output", arguments.outputs, "NAME", "An output to ask for; may be repeated [all]");
  app.add_option("--request-id", arguments.request_id, "Echoed in the answer, and found in logs and traces")
      ->type_name("TEXT");
  app.add_flag("--argmax", arguments.argmax, "Also print the index of the largest value of each row");
  app.add_flag("--full", arguments.full, "Print every element of large tensors");
  AddRepeatable(app, "--out", files, "[NAME=]FILE.npy", "Save an output; may be repeated");
  app.footer(kInputFooter);
}

// Two flags that exclude each other, and what holds without them.
struct EncodingFlags {
  bool raw = false;
  bool typed = false;

  void AddTo(CLI::App& app) {
    CLI::Option* raw_flag = app.add_flag("--raw", raw, "Tensors travel as bytes [unless --json]");
    app.add_flag("--typed", typed, "Tensors travel as typed values [with --json]")->excludes(raw_flag);
  }

  Encoding Choice(bool json) const { return typed || (json && !raw) ? Encoding::kTyped : Encoding::kRaw; }
};

// What CLI11 does not know how to parse.
template <typename Parse, typename Values>
void ParseAll(const std::string& option, Parse parse, const std::vector<std::string>& texts, Values& values) {
  for (const std::string& text : texts) {
    auto parsed = parse(text);
    if (!parsed.ok()) throw CLI::ValidationError(option, std::string(parsed.status().message()));
    values.push_back(*std::move(parsed));
  }
}

}  // namespace

std::variant<CommandLine, int> ParseCommandLine(int argc, const char* const* argv, std::ostream& out,
                                                std::ostream& err) {
  CommonArguments common;
  ModelsArguments models;
  PredictArguments predict;
  StreamArguments stream;
  GenerateArguments generate;
  ChatArguments chat;
  std::vector<std::string> headers;
  std::vector<std::string> files;
  EncodingFlags encoding;

  CLI::App app("Talks to a predictd model server.", "predictctl");
  app.require_subcommand(1)->fallthrough()->footer(kFooter);
  AddCommon(app, common, headers);

  CLI::App* models_command = app.add_subcommand("models", "List the models, or describe one");
  models_command->add_option("NAME", models.name, "Only this model, in detail");

  CLI::App* predict_command = app.add_subcommand("predict", "Run a model once");
  AddPredict(*predict_command, predict, files);
  encoding.AddTo(*predict_command);

  CLI::App* stream_command = app.add_subcommand("stream", "Run a model over many rows, and print results as they come");
  AddPredict(*stream_command, stream.predict, files);
  encoding.AddTo(*stream_command);
  stream_command->add_option("--chunk-rows", stream.chunk_rows, "Rows in a result [the model's maximum batch size]")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""));
  stream_command->add_flag("--unordered", stream.unordered, "Results as they complete, not in the order of their rows");
  stream_command->add_flag("--per-item-errors", stream.per_item_errors,
                           "Go on after rows that failed, and report them with the others");

  CLI::App* generate_command = app.add_subcommand("generate", "Have a generator go on from a prompt");
  AddGenerate(*generate_command, generate);

  CLI::App* chat_command = app.add_subcommand("chat", "Talk with a generator");
  AddChat(*chat_command, chat);

  try {
    app.parse(argc, argv);
    ParseAll("--header", ParseHeader, headers, common.headers);
    ParseAll("--out", ParseOutputFile, files, predict.files);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? kExitOk : kExitLocalError;
  }
  predict.encoding = encoding.Choice(common.json);
  stream.predict.encoding = predict.encoding;
  stream.predict.files = predict.files;
  const bool text = generate_command->parsed() || chat_command->parsed();
  if (text && app.get_option("--deadline")->empty()) common.deadline = absl::InfiniteDuration();
  if (generate_command->parsed()) return CommandLine{common, generate};
  if (chat_command->parsed()) return CommandLine{common, chat};
  if (models_command->parsed()) return CommandLine{common, models};
  if (predict_command->parsed()) return CommandLine{common, predict};
  return CommandLine{common, stream};
}

}  // namespace predictd
