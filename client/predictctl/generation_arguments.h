// What predictctl generate and chat were asked to do.
#ifndef PREDICTD_CLIENT_PREDICTCTL_GENERATION_ARGUMENTS_H_
#define PREDICTD_CLIENT_PREDICTCTL_GENERATION_ARGUMENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace predictd {

// Which model answers, and how. Options that are not set are left to the server.
struct GenerationArguments {
  std::string model = {};
  std::int64_t version = 0;
  std::string label = {};
  std::string request_id = {};
  std::optional<std::string> system = std::nullopt;
  std::optional<std::int64_t> max_tokens = std::nullopt;
  std::optional<double> temperature = std::nullopt;
  std::optional<std::int64_t> top_k = std::nullopt;
  std::optional<double> top_p = std::nullopt;
  std::optional<double> min_p = std::nullopt;
  std::optional<double> repetition_penalty = std::nullopt;
  std::optional<double> presence_penalty = std::nullopt;
  std::optional<double> frequency_penalty = std::nullopt;
  std::optional<std::uint64_t> seed = std::nullopt;
  std::vector<std::string> stop = {};
  // Each is NAME=JSON.
  std::vector<std::string> template_arguments = {};
  bool ignore_end = false;
  std::optional<std::int32_t> n = std::nullopt;
  std::optional<std::int32_t> logprobs = std::nullopt;
};

// predictctl generate MODEL [PROMPT]
struct GenerateArguments {
  GenerationArguments generation = {};
  // As on the command line: "-" or no prompt means standard input.
  std::optional<std::string> prompt = std::nullopt;
  // Whether the prompt is the user's message in a chat. It also is if there is a system message or a template variable.
  bool chat = false;
};

// predictctl chat MODEL
struct ChatArguments {
  GenerationArguments generation = {};
};

// These add the commands' options and store their values in the arguments, which must outlive the parsing.
void AddGenerate(CLI::App& app, GenerateArguments& arguments);
void AddChat(CLI::App& app, ChatArguments& arguments);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_GENERATION_ARGUMENTS_H_
