#include "server/template/chat_template.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/template/ast.h"
#include "server/template/interpreter.h"
#include "server/template/parser.h"
#include "server/template/variables.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr std::array<absl::string_view, 4> kReserved = {"messages", "add_generation_prompt", "bos_token", "eos_token"};
constexpr std::array<absl::string_view, 6> kRoles = {"system", "developer", "user", "assistant", "tool", "function"};

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("chat template: ", what));
}

// A missing token stays "".
absl::Status ReadToken(const Json& document, const char* name, std::string& token) {
  const auto value = document.find(name);
  if (value == document.end() || value->is_null()) return absl::OkStatus();
  if (!value->is_string()) return Malformed(absl::StrCat("expected text as '", name, "'"));
  token = value->get<std::string>();
  return absl::OkStatus();
}

TemplateString RoleText(absl::string_view role) {
  const bool is_known = std::find(kRoles.begin(), kRoles.end(), role) != kRoles.end();
  return is_known ? TemplateString::Trusted(role) : TemplateString::Untrusted(role);
}

// As deep as the value is.
TemplateValue ToTemplateValue(const ChatValue& from, TemplateRun& run) {
  if (const auto* truth = std::get_if<bool>(&from.value)) return *truth;
  if (const auto* number = std::get_if<int64_t>(&from.value)) return *number;
  if (const auto* number = std::get_if<double>(&from.value)) return *number;
  if (const auto* text = std::get_if<absl::string_view>(&from.value)) return TemplateString::Untrusted(*text);
  if (const auto* list = std::get_if<ChatValue::List>(&from.value)) {
    std::vector<TemplateValue> items;
    items.reserve(list->size());
    for (const ChatValue& item : *list) items.push_back(ToTemplateValue(item, run));
    return run.NewList(std::move(items));
  }
  if (const auto* dict = std::get_if<ChatValue::Dict>(&from.value)) {
    TemplateDict* const result = run.NewDict();
    result->entries.reserve(dict->size());
    for (const auto& [key, value] : *dict) {
      result->entries.emplace_back(TemplateString::Untrusted(key), ToTemplateValue(value, run));
    }
    return result;
  }
  return TemplateNone{};
}

}  // namespace

ChatTemplate::ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

absl::StatusOr<ChatTemplate> ChatTemplate::Load(absl::string_view json, TemplateLimits limits) {
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return Malformed("expected a JSON object");
  const auto version = document.find("version");
  if (version == document.end() || *version != kVersion) {
    return Malformed(absl::StrCat("expected version ", kVersion));
  }
  ChatTemplate chat;
  chat.limits_ = limits;
  chat.program_ = std::make_unique<TemplateProgram>();
  if (absl::Status status = ReadToken(document, "bos_token", chat.bos_token_); !status.ok()) return status;
  if (absl::Status status = ReadToken(document, "eos_token", chat.eos_token_); !status.ok()) return status;
  const auto body = document.find("body");
  if (body == document.end()) return Malformed("expected a list of nodes as 'body'");
  if (absl::Status status = ParseTemplate(*body, *chat.program_); !status.ok()) return Malformed(status.message());
  for (std::string& name : FindReadVariables(chat.program_->body)) {
    if (!IsReserved(name)) chat.arguments_.push_back(std::move(name));
  }
  return chat;
}

bool ChatTemplate::IsReserved(absl::string_view name) {
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

absl::StatusOr<RenderedChat> ChatTemplate::Render(const ChatInput& input, const StopSource* stop) const {
  TemplateRun run(limits_, input.now, stop);
  const TemplateValue role_key = TemplateString::Trusted("role");
  const TemplateValue content_key = TemplateString::Trusted("content");
  std::vector<TemplateValue> values;
  values.reserve(input.messages.size());
  for (const ChatMessage& message : input.messages) {
    TemplateDict* const value = run.NewDict();
    value->entries.emplace_back(role_key, RoleText(message.role));
    value->entries.emplace_back(content_key, TemplateString::Untrusted(message.content));
    values.emplace_back(value);
  }
  TemplateInterpreter interpreter(*program_, run);
  // Templates expect that these exist and that neither is given.
  interpreter.SetVariable("tools", TemplateNone{});
  interpreter.SetVariable("documents", TemplateNone{});
  if (input.arguments != nullptr) {
    for (const auto& [name, value] : *input.arguments) interpreter.SetVariable(name, ToTemplateValue(value, run));
  }
  interpreter.SetVariable("messages", run.NewList(std::move(values)));
  interpreter.SetVariable("add_generation_prompt", input.add_generation_prompt);
  interpreter.SetVariable("bos_token", TemplateString::Trusted(bos_token_));
  interpreter.SetVariable("eos_token", TemplateString::Trusted(eos_token_));
  absl::StatusOr<TemplateString> text = interpreter.Execute();
  if (!text.ok()) return text.status();
  return RenderedChat{text->text(), text->trusted()};
}

}  // namespace predictd
