#include "client/predictctl/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/predictctl/exit_code.h"
#include "client/predictctl/repeatable_option.h"
#include "client/predictctl/unknown_word.h"

namespace predictd {
namespace {

constexpr int kDefaultPort = 8500;

// What predictd allows.
constexpr absl::Duration kShortestKeepaliveTime = absl::Seconds(10);

constexpr char kFooter[] = R"(Examples:
  predictctl models
  predictctl model digits
  predictctl models --watch
  predictctl reload digits
  predictctl split digits 1=95 2=5
  predictctl validate models/digits
  predictctl predict digits --input image=@digits.npy --rows 0:4 --argmax
  predictctl predict linear --input '[[1, 2, 3, 4]]' --deadline 50ms
  echo '{"x": [[1, 2], [3, 4]]}' | predictctl predict linear --json-input - --json
  predictctl stream digits --input @digits.npy --chunk-rows 32 --out logits=logits.npy
  predictctl generate smollm2 "Once upon a time" --max-tokens 50 --seed 1
  predictctl chat smollm2 --system "Answer in one sentence."
'predictctl COMMAND --help' lists a command's options.

Exit status:
  0    the call ended well
  1    validate: the server would not serve the model
  2    wrong usage, an input that cannot be read, an output that cannot be written, too little memory
  3    a stream ended well, but some of its rows were answered with an error
  10+N the call failed with gRPC code N: 11 CANCELLED, 12 UNKNOWN, 13 INVALID_ARGUMENT, 14 DEADLINE_EXCEEDED,
       15 NOT_FOUND, 17 PERMISSION_DENIED, 18 RESOURCE_EXHAUSTED, 19 FAILED_PRECONDITION, 22 UNIMPLEMENTED,
       23 INTERNAL, 24 UNAVAILABLE, 26 UNAUTHENTICATED
  130  interrupted: the first Ctrl-C cancels the call, a second one does not wait for its end)";

constexpr char kInputs[] = R"(Inputs:
  NAME=@FILE.npy   a NumPy array, sent with its own dtype, or with --cast in the model's
  NAME=@FILE.json  nested JSON arrays in a file ('-' or '@-': standard input)
  NAME=JSON        the same on the command line, as in 'x=[[1.5, 2], [3, NaN]]'; strings are for BYTES
The shape of JSON follows from its nesting, its type from the model's signature. 'NAME=' may be left out if the model
has a single input.
)";

constexpr char kCommonFooter[] =
    R"(Options of every command (--address, --tls, --deadline, --header, --json, ...) and exit statuses: predictctl --help)";

constexpr char kPredictExample[] =
    R"(Example: predictctl predict digits --input image=@digits.npy --rows 0:4 --output probabilities --argmax
)";

constexpr char kStreamExample[] =
    R"(Example: predictctl stream digits --input image=@digits.npy --chunk-rows 32 --json | jq -c .rows.outputs
)";

constexpr char kModelsExample[] =
    R"(--watch has no deadline unless --deadline gives one, and ends with the connection to the server.

Example: predictctl models --json | jq -r '.response.models[].name'
)";

constexpr char kModelExample[] = R"(Example: predictctl model digits
)";

// Wraps one of our parsers as a CLI11 callback.
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
    return absl::InvalidArgumentError(
        absl::StrCat("expected a duration with a unit, as in 250ms, 1.5s, 2m or 1h30m, got '", text, "'"));
  }
  return deadline == absl::ZeroDuration() ? absl::InfiniteDuration() : deadline;
}

absl::StatusOr<absl::Duration> ParseKeepaliveTime(const std::string& text) {
  absl::StatusOr<absl::Duration> time = ParseDeadline(text);
  if (!time.ok() || *time >= kShortestKeepaliveTime) return time;
  return absl::InvalidArgumentError(
      absl::StrCat("expected at least ", absl::FormatDuration(kShortestKeepaliveTime),
                   ", because servers close connections that are probed more often, got '", text, "'"));
}

// "4096", or with a unit, "64MiB".
absl::StatusOr<std::int64_t> ParseBytes(const std::string& text) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  absl::string_view number = text;
  std::int64_t unit = 1;
  if (absl::ConsumeSuffix(&number, "KiB")) unit = std::int64_t{1} << 10;
  if (absl::ConsumeSuffix(&number, "MiB")) unit = std::int64_t{1} << 20;
  if (absl::ConsumeSuffix(&number, "GiB")) unit = std::int64_t{1} << 30;
  std::int64_t count = 0;
  // 2 GiB is one byte more than gRPC takes, but what people write.
  if (absl::SimpleAtoi(number, &count) && count > 0 && count <= (kMost + 1) / unit)
    return std::min(count * unit, kMost);
  return absl::InvalidArgumentError(absl::StrCat("expected bytes as in 4096 or 64MiB, at most 2GiB, got '", text, "'"));
}

// Makes an address as gRPC expects it; without a port, gRPC would use that of HTTPS.
absl::StatusOr<std::string> ParseAddress(const std::string& text) {
  for (const absl::string_view scheme : {"http://", "https://", "grpc://", "grpcs://"}) {
    if (!absl::StartsWith(text, scheme)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("expected HOST:PORT without '", scheme, "' (--tls encrypts), got '", text, "'"));
  }
  if (text.empty()) return absl::InvalidArgumentError("expected HOST:PORT, got nothing");
  for (const absl::string_view resolver : {"unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:", "vsock:", "xds:"}) {
    if (absl::StartsWith(text, resolver)) return text;
  }
  const bool in_brackets = absl::StartsWith(text, "[");
  const bool is_ipv6 = !in_brackets && std::count(text.begin(), text.end(), ':') > 1;
  if (is_ipv6) return absl::StrCat("[", text, "]:", kDefaultPort);
  const std::size_t colon = text.find(':', in_brackets ? text.find(']') : 0);
  if (colon == std::string::npos) return absl::StrCat(text, ":", kDefaultPort);
  int port = 0;
  if (colon > 0 && absl::SimpleAtoi(text.substr(colon + 1), &port) && port > 0 && port <= 65535) return text;
  return absl::InvalidArgumentError(absl::StrCat("expected HOST:PORT with a port from 1 to 65535, got '", text, "'"));
}

// "KEY=VALUE", or "KEY: VALUE" as curl and grpcurl write it.
absl::StatusOr<std::pair<std::string, std::string>> ParseHeader(const std::string& text) {
  const std::size_t end = text.find_first_of("=:");
  if (end == std::string::npos || end == 0) {
    return absl::InvalidArgumentError(absl::StrCat("expected KEY=VALUE or 'KEY: VALUE', got '", text, "'"));
  }
  const absl::string_view value = absl::string_view(text).substr(end + 1);
  return std::pair(absl::AsciiStrToLower(text.substr(0, end)),
                   std::string(text[end] == ':' ? absl::StripLeadingAsciiWhitespace(value) : value));
}

void AddCommon(CLI::App& app, CommonArguments& arguments, std::vector<std::string>& headers) {
  app.add_option_function<std::string>("--address", Into("--address", ParseAddress, arguments.address),
                                       absl::StrCat("The server; port ", kDefaultPort, " unless given"))
      ->type_name("HOST[:PORT]")
      ->envname("PREDICTD_ADDRESS")
      ->default_str(arguments.address);
  AddTls(app, arguments.tls);
  app.add_option_function<std::string>(
         "--deadline,--timeout", Into("--deadline", ParseDeadline, arguments.deadline),
         "Of a call, as in 250ms, 1.5s or 2m; 0: none [30s; 10m for text; none to load and to watch]")
      ->type_name("DURATION");
  app.add_option_function<std::string>("--keepalive-time",
                                       Into("--keepalive-time", ParseKeepaliveTime, arguments.keepalive_time),
                                       "How often to probe a server that is silent during a call; 0: never [20s]")
      ->type_name("DURATION");
  app.add_option_function<std::string>("--max-message-bytes,--max-msg-sz",
                                       Into("--max-message-bytes", ParseBytes, arguments.max_message_bytes),
                                       "The most bytes of one request and one answer, as in 64MiB [2GiB]")
      ->type_name("SIZE");
  AddRepeatable(app, "-H,--header,--metadata", headers, "KEY=VALUE", "Metadata to send; may be repeated");
  app.add_flag("--json", arguments.json, "One JSON document, or a line of JSON for each event of a stream");
}

void AddPredict(CLI::App& app, PredictArguments& arguments, std::vector<std::string>& files,
                const std::string& example) {
  app.add_option("MODEL", arguments.model, "The model")->required();
  AddRepeatable(app, "--input", arguments.inputs, "[NAME=]@FILE|JSON", "An input, see below; may be repeated");
  AddRepeatable(app, "--json-input", arguments.json_inputs, "FILE|-",
                "Inputs as a JSON object of names and nested arrays");
  app.add_flag("--cast", arguments.cast,
               "Convert arrays and numbers to the model's types, as far as only floats are rounded");
  app.add_option_function<std::string>("--rows", Into("--rows", ParseRowRange, arguments.rows),
                                       "Only these rows of the inputs, counted from 0; END is not among them")
      ->type_name("FIRST:END");
  app.add_option("--version", arguments.version, "Version of the model [the newest that is ready]")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber.description(""));
  app.add_option("--label", arguments.label, "Label of a version, instead of its number");
  AddRepeatable(app, "--output", arguments.outputs, "NAME", "An output to ask for; may be repeated [all]");
  app.add_option("--priority", arguments.priority, "How urgent it is, 0 to 4; higher ones go first [2]")
      ->type_name("N");
  app.add_flag("--no-cache", arguments.no_cache, "Neither take the answer from the model's response cache nor keep it");
  app.add_option("--request-id", arguments.request_id, "Echoed in the answer, and found in logs and traces")
      ->type_name("TEXT");
  app.add_flag("--argmax", arguments.argmax, "Also print the index of the largest value of each row");
  app.add_flag("--full", arguments.full, "Print every element of large tensors");
  AddRepeatable(app, "--out", files, "[NAME=]FILE.npy", "Save an output; may be repeated");
  app.footer(absl::StrCat(kInputs, "\n", example, "\n", kCommonFooter));
}

// Two flags that exclude each other, and the default without them.
struct EncodingFlags {
  bool raw = false;
  bool typed = false;

  void AddTo(CLI::App& app) {
    CLI::Option* raw_flag = app.add_flag("--raw", raw, "Tensors travel as bytes [unless --json]");
    app.add_flag("--typed", typed, "Tensors travel as typed values [with --json]")->excludes(raw_flag);
  }

  Encoding Choice(bool json) const { return typed || (json && !raw) ? Encoding::kTyped : Encoding::kRaw; }
};

// Parses values that CLI11 cannot parse.
template <typename Parse, typename Values>
void ParseAll(const std::string& option, Parse parse, const std::vector<std::string>& texts, Values& values) {
  for (const std::string& text : texts) {
    auto parsed = parse(text);
    if (!parsed.ok()) throw CLI::ValidationError(option, std::string(parsed.status().message()));
    values.push_back(*std::move(parsed));
  }
}

int Refuse(const std::string& what, std::ostream& err) {
  err << "predictctl: " << what << "\nRun with --help for more information.\n";
  return kExitLocalError;
}

}  // namespace

ParsedCommandLine ParseCommandLine(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CommonArguments common;
  ModelsArguments models;
  ControlArguments load{.change = ControlArguments::Change::kLoad};
  ControlArguments unload{.change = ControlArguments::Change::kUnload};
  ControlArguments reload{.change = ControlArguments::Change::kReload};
  SplitArguments split;
  ValidateArguments validate;
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

  app.set_version_flag("--version", std::string("predictctl ") + PREDICTD_VERSION);

  CLI::App* models_command = app.add_subcommand("models", "List the models, or describe one");
  models_command->add_option("NAME", models.name, "Only this model, in detail");
  models_command->add_flag("--watch", models.watch, "Print a line for each, and one for each change, until Ctrl-C");
  models_command->footer(absl::StrCat(kModelsExample, "\n", kCommonFooter));

  CLI::App* model_command = app.add_subcommand("model", "Describe a model: versions, inputs, outputs, limits");
  model_command->add_option("NAME", models.name, "The model")->required();
  model_command->footer(absl::StrCat(kModelExample, "\n", kCommonFooter));

  CLI::App* predict_command = app.add_subcommand("predict", "Run a model once");
  AddPredict(*predict_command, predict, files, kPredictExample);
  encoding.AddTo(*predict_command);

  CLI::App* stream_command = app.add_subcommand("stream", "Run a model over many rows, and print results as they come");
  AddPredict(*stream_command, stream.predict, files, kStreamExample);
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

  CLI::App* load_command = app.add_subcommand("load", "Load a model's new and changed versions");
  AddControl(*load_command, load);
  CLI::App* unload_command = app.add_subcommand("unload", "Take a model out of service");
  AddControl(*unload_command, unload);
  CLI::App* reload_command = app.add_subcommand("reload", "Load all of a model's versions anew");
  AddControl(*reload_command, reload);
  CLI::App* split_command = app.add_subcommand("split", "Say which versions of a model get its requests");
  AddSplit(*split_command, split);
  CLI::App* validate_command = app.add_subcommand("validate", "Check a model's folder, without a server");
  AddValidate(*validate_command, validate);

  const std::string command = CommandOf(app, argc, argv);
  if (command == "help") {
    out << app.help();
    return kExitOk;
  }
  if (!command.empty() && !IsCommand(app, command)) {
    return Refuse(UnknownCommand(app, command), err);
  }
  try {
    app.parse(argc, argv);
    ParseAll("--header", ParseHeader, headers, common.headers);
    ParseAll("--out", ParseOutputFile, files, predict.files);
  } catch (const CLI::ExtrasError&) {
    return Refuse(UnknownArgument(app), err);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, out, err);
    return Refuse(command.empty() ? MissingCommand(app) : error.what(), err);
  }
  predict.encoding = encoding.Choice(common.json);
  stream.predict.encoding = predict.encoding;
  stream.predict.files = predict.files;
  if (validate_command->parsed()) {
    if (common.json) return Refuse("--json: validate prints what predictd says", err);
    return validate;
  }
  if (app.get_option("--deadline")->empty()) {
    if (generate_command->parsed() || chat_command->parsed()) common.deadline = kTextDeadline;
    // How long they take is not for us to know.
    if (load_command->parsed() || reload_command->parsed() || models.watch) common.deadline = absl::InfiniteDuration();
  }
  if (load_command->parsed()) return CommandLine{common, load};
  if (unload_command->parsed()) return CommandLine{common, unload};
  if (reload_command->parsed()) return CommandLine{common, reload};
  if (split_command->parsed()) return CommandLine{common, split};
  if (generate_command->parsed()) return CommandLine{common, generate};
  if (chat_command->parsed()) return CommandLine{common, chat};
  if (models_command->parsed() || model_command->parsed()) return CommandLine{common, models};
  if (predict_command->parsed()) return CommandLine{common, predict};
  return CommandLine{common, stream};
}

}  // namespace predictd
