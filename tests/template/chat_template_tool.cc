// Renders chats for tests/template/test_chat_template.py: reads a line of JSON for each and answers it with a line.
//
//   {"template": {...}, "max_steps": ...,
//    "max_output_bytes": ...}                               loads it, with those limits if given; the variables it
//    reads
//   {"messages": [{"role": ..., "content": ...}, ...],
//    "add_generation_prompt": ..., "arguments": {...},
//    "now": ...}                                            {"text": ..., "trusted": [[begin, end], ...]}
//   anything that goes wrong                                {"code": ..., "error": ...}

#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/template/chat_template.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

Json ErrorAnswer(const absl::Status& status) {
  return {{"code", absl::StatusCodeToString(status.code())}, {"error", std::string(status.message())}};
}

absl::string_view Text(const Json& json) {
  return json.get_ref<const std::string&>();
}

ChatValue ToChatValue(const Json& json) {
  if (json.is_boolean()) return {json.get<bool>()};
  if (json.is_number_integer()) return {json.get<int64_t>()};
  if (json.is_number()) return {json.get<double>()};
  if (json.is_string()) return {Text(json)};
  if (json.is_array()) {
    ChatValue::List list;
    for (const Json& item : json) list.push_back(ToChatValue(item));
    return {list};
  }
  if (json.is_object()) {
    ChatValue::Dict dict;
    for (const auto& [key, value] : json.items()) dict.push_back({key, ToChatValue(value)});
    return {dict};
  }
  return {};
}

Json Answer(const Json& request, std::optional<ChatTemplate>& chat_template) {
  if (request.contains("template")) {
    TemplateLimits limits;
    limits.max_steps = request.value("max_steps", limits.max_steps);
    limits.max_output_bytes = request.value("max_output_bytes", limits.max_output_bytes);
    absl::StatusOr<ChatTemplate> loaded = ChatTemplate::Load(request["template"].dump(), limits);
    if (!loaded.ok()) return ErrorAnswer(loaded.status());
    chat_template = *std::move(loaded);
    return chat_template->arguments();
  }
  std::vector<ChatMessage> messages;
  for (const Json& message : request["messages"]) messages.push_back({Text(message["role"]), Text(message["content"])});
  const ChatValue arguments = ToChatValue(request["arguments"]);
  const absl::StatusOr<RenderedChat> chat = chat_template->Render(
      {.messages = messages,
       .add_generation_prompt = request["add_generation_prompt"],
       .arguments = std::get_if<ChatValue::Dict>(&arguments.value),
       .now = std::chrono::system_clock::from_time_t(0) + std::chrono::microseconds(request["now"].get<int64_t>())});
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
