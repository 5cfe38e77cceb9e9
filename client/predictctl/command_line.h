// What predictctl was asked to do.
#ifndef PREDICTD_CLIENT_PREDICTCTL_COMMAND_LINE_H_
#define PREDICTD_CLIENT_PREDICTCTL_COMMAND_LINE_H_

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "client/call_metadata.h"
#include "client/predictctl/generation_arguments.h"
#include "client/predictctl/output_file.h"
#include "client/predictctl/row_range.h"

namespace predictd {

// Of every command.
struct CommonArguments {
  std::string address = "127.0.0.1:8500";
  // Of the command's main call. InfiniteDuration: none, which is the default of generate and chat.
  absl::Duration deadline = absl::Seconds(30);
  Metadata headers = {};
  bool json = false;
};

// predictctl models [NAME]
struct ModelsArguments {
  std::string name = {};  // Empty: all.
};

// How tensors travel.
enum class Encoding { kRaw, kTyped };

// predictctl predict MODEL, and the part of stream that is the same.
struct PredictArguments {
  std::string model = {};
  std::int64_t version = 0;
  std::vector<std::string> inputs = {};
  std::vector<std::string> json_inputs = {};
  std::optional<RowRange> rows = std::nullopt;
  std::vector<std::string> outputs = {};
  std::string request_id = {};
  Encoding encoding = Encoding::kRaw;
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
  std::variant<ModelsArguments, PredictArguments, StreamArguments, GenerateArguments, ChatArguments> command;
};

// Reads the arguments and the environment variable PREDICTD_ADDRESS. Help that was asked for goes to `out`, what is
// wrong to `err`; then there is nothing to run, and the result is the exit status.
std::variant<CommandLine, int> ParseCommandLine(int argc, const char* const* argv, std::ostream& out,
                                                std::ostream& err);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_COMMAND_LINE_H_
