#include "server/services/prompt_codec.h"

#include <google/protobuf/map.h>

#include <algorithm>
#include <string>

namespace predictd {
namespace {

using v1::TemplateValue;
// Chat.template_arguments, and the entries of a dictionary.
using TemplateEntries = google::protobuf::Map<std::string, TemplateValue>;

// These recurse as deeply as the message is nested, which its parser limits.
ChatValue ReadValue(const TemplateValue& value);

// A map has no order, and a template must not print it in another one each time.
ChatValue::Dict ReadEntries(const TemplateEntries& entries) {
  ChatValue::Dict dict;
  dict.reserve(entries.size());
  for (const auto& [name, value] : entries) dict.push_back({name, ReadValue(value)});
  std::sort(dict.begin(), dict.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return dict;
}

ChatValue::List ReadList(const v1::TemplateList& values) {
  ChatValue::List list;
  list.reserve(static_cast<size_t>(values.values_size()));
  for (const TemplateValue& value : values.values()) list.push_back(ReadValue(value));
  return list;
}

ChatValue ReadValue(const TemplateValue& value) {
  switch (value.value_case()) {
    case TemplateValue::VALUE_NOT_SET:
      break;
    case TemplateValue::kBoolValue:
      return {value.bool_value()};
    case TemplateValue::kInt64Value:
      return {value.int64_value()};
    case TemplateValue::kDoubleValue:
      return {value.double_value()};
    case TemplateValue::kStringValue:
      return {absl::string_view(value.string_value())};
    case TemplateValue::kDictValue:
      return {ReadEntries(value.dict_value().entries())};
    case TemplateValue::kListValue:
      return {ReadList(value.list_value())};
  }
  return {};
}

ChatPrompt ReadChat(const v1::Chat& chat) {
  ChatPrompt prompt;
  prompt.messages.reserve(static_cast<size_t>(chat.messages_size()));
  for (const v1::ChatMessage& message : chat.messages()) prompt.messages.push_back({message.role(), message.content()});
  prompt.template_arguments = ReadEntries(chat.template_arguments());
  for (const auto& [name, value] : chat.template_arguments()) {
    prompt.argument_bytes += name.size() + value.ByteSizeLong();
  }
  return prompt;
}

}  // namespace

Prompt ReadPrompt(const v1::GenerationRequest& request) {
  switch (request.prompt_case()) {
    case v1::GenerationRequest::kText:
      return TextPrompt{request.text(), request.parse_special_tokens()};
    case v1::GenerationRequest::kChat:
      return ReadChat(request.chat());
    case v1::GenerationRequest::kTokenIds: {
      const auto& ids = request.token_ids().ids();
      return TokenPrompt{absl::MakeConstSpan(ids.data(), static_cast<size_t>(ids.size()))};
    }
    case v1::GenerationRequest::PROMPT_NOT_SET:
      break;
  }
  return {};
}

}  // namespace predictd
