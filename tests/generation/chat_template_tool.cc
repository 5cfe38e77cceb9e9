// Renders chats for tests/generation/test_chat_template.py: reads a line of JSON for each and answers it with a line.
//
//   {"template": {...}, "max_steps": ...,
//    "max_output_bytes": ...}                               loads it, with those limits if given; null is no error
//   {"messages": [{"role": ..., "content": ...}, ...],
//    "add_generation_prompt": ...}                          {"text": ..., "trusted": [[begin, end], ...]}
//   anything that goes wrong                                {"code": ..., "error": ...}

#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/generation/chat_template.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

Json ErrorAnswer(const absl::Status& status) {
  return {{"code", absl::StatusCodeToString(status.code())}, {"error", std::string(status.message())}};
}

Json Answer(const Json& request, std::optional<ChatTemplate>& chat_template) {
  if (request.contains("template")) {
    TemplateLimits limits;
    limits.max_steps = request.value("max_steps", limits.max_steps);
    limits.max_output_bytes = request.value("max_output_bytes", limits.max_output_bytes);
    absl::StatusOr<ChatTemplate> loaded = ChatTemplate::Load(request["template"].dump(), limits);
    if (!loaded.ok()) return ErrorAnswer(loaded.status());
    chat_template = *std::move(loaded);
    return nullptr;
  }
  std::vector<ChatMessage> messages;
  for (const Json& message : request["messages"]) messages.push_back({message["role"], message["content"]});
  absl::StatusOr<RenderedChat> chat = chat_template->Render(messages, request["add_generation_prompt"]);
  if (!chat.ok()) return ErrorAnswer(chat.status());
  Json trusted = Json::array();
  for (const TextRange& range : chat->trusted) trusted.push_back({range.begin, range.end});
  return {{"text", chat->text}, {"trusted", trusted}};
}

void Run() {
  std::optional<ChatTemplate> chat_template;
  std::string line;
  while (std::getline(std::cin, line)) std::cout << Answer(Json::parse(line), chat_template) << std::endl;
}

}  // namespace
}  // namespace predictd

int main() {
  predictd::Run();
}
