// What predictctl was asked to do.
#ifndef PREDICTD_CLIENT_PREDICTCTL_COMMAND_LINE_H_
#define PREDICTD_CLIENT_PREDICTCTL_COMMAND_LINE_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "client/call_metadata.h"
#include "client/predictctl/control_arguments.h"
#include "client/predictctl/generation_arguments.h"
#include "client/predictctl/output_file.h"
#include "client/predictctl/row_range.h"
#include "client/predictctl/tls_arguments.h"
#include "client/predictctl/validate_command.h"

namespace predictd {

// Long enough for any text that somebody waits for.
inline constexpr absl::Duration kTextDeadline = absl::Minutes(10);

// The arguments of every command.
struct CommonArguments {
  std::string address = "127.0.0.1:8500";
  // For the command's main call, and in a chat for each answer. InfiniteDuration means none, and is the default of
  // load, reload and models --watch; that of generate and chat is kTextDeadline.
  absl::Duration deadline = absl::Seconds(30);
  // How often a connection that is silent during a call is probed. InfiniteDuration means never.
  absl::Duration keepalive_time = absl::Seconds(20);
  // The most bytes of a message, in either direction. The default is gRPC's own limit.
  std::int64_t max_message_bytes = std::numeric_limits<std::int32_t>::max();
  Metadata headers = {};
  bool json = false;
  TlsArguments tls = {};
};

// predictctl models [--watch] [NAME], or model NAME.
struct ModelsArguments {
  std::string name = {};  // Empty: all.
  bool watch = false;
};

// How tensors are encoded.
enum class Encoding { kRaw, kTyped };

// predictctl predict MODEL, and the part of stream that is the same.
struct PredictArguments {
  std::string model = {};
  std::int64_t version = 0;
  std::string label = {};
  std::vector<std::string> inputs = {};
  std::vector<std::string> json_inputs = {};
  std::optional<RowRange> rows = std::nullopt;
  std::vector<std::string> outputs = {};
  std::string request_id = {};
  Encoding encoding = Encoding::kRaw;
  bool cast = false;
  std::optional<std::int64_t> priority = std::nullopt;
  bool no_cache = false;
  bool argmax = false;
  bool full = false;
  std::vector<OutputFile> files = {};
};

// predictctl stream MODEL
struct StreamArguments {
  PredictArguments predict = {};
  std::int64_t chunk_rows = 0;
  bool unordered = false;
  bool per_item_errors = false;
};

struct CommandLine {
  CommonArguments common;
  std::variant<ModelsArguments, ControlArguments, SplitArguments, PredictArguments, StreamArguments, GenerateArguments,
               ChatArguments>
      command;
};

// A command that calls a server, one that does not, or the exit status if there is nothing to run.
using ParsedCommandLine = std::variant<CommandLine, ValidateArguments, int>;

// Reads the arguments and the environment variable PREDICTD_ADDRESS. Requested help goes to `out` and errors go to
// `err`; in both cases there is nothing to run.
ParsedCommandLine ParseCommandLine(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_COMMAND_LINE_H_
