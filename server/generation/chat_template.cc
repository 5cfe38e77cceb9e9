#include "server/generation/chat_template.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/generation/template_ast.h"
#include "server/generation/template_interpreter.h"
#include "server/generation/template_parser.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr std::array<absl::string_view, 6> kRoles = {"system", "developer", "user", "assistant", "tool", "function"};

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("chat template: ", what));
}

// What both Load and a template without one take for "".
absl::Status ReadToken(const Json& document, const char* name, std::string& token) {
  const auto value = document.find(name);
  if (value == document.end() || value->is_null()) return absl::OkStatus();
  if (!value->is_string()) return Malformed(absl::StrCat("expected text as '", name, "'"));
  token = value->get<std::string>();
  return absl::OkStatus();
}

TemplateString RoleText(const std::string& role) {
  const bool is_known = std::find(kRoles.begin(), kRoles.end(), role) != kRoles.end();
  return is_known ? TemplateString::Trusted(role) : TemplateString::Untrusted(role);
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
  return chat;
}

absl::StatusOr<RenderedChat> ChatTemplate::Render(absl::Span<const ChatMessage> messages, bool add_generation_prompt,
                                                  const StopSource* stop) const {
  TemplateRun run(limits_, stop);
  const TemplateValue role_key = TemplateString::Trusted("role");
  const TemplateValue content_key = TemplateString::Trusted("content");
  std::vector<TemplateValue> values;
  values.reserve(messages.size());
  for (const ChatMessage& message : messages) {
    TemplateDict* const value = run.NewDict();
    value->entries.emplace_back(role_key, RoleText(message.role));
    value->entries.emplace_back(content_key, TemplateString::Untrusted(message.content));
    values.emplace_back(value);
  }
  TemplateInterpreter interpreter(*program_, run);
  interpreter.SetVariable("messages", run.NewList(std::move(values)));
  interpreter.SetVariable("add_generation_prompt", add_generation_prompt);
  interpreter.SetVariable("bos_token", TemplateString::Trusted(bos_token_));
  interpreter.SetVariable("eos_token", TemplateString::Trusted(eos_token_));
  // Templates are used to these being there, and to none being given.
  interpreter.SetVariable("tools", TemplateNone{});
  interpreter.SetVariable("documents", TemplateNone{});
  absl::StatusOr<TemplateString> text = interpreter.Execute();
  if (!text.ok()) return text.status();
  return RenderedChat{text->text(), text->trusted()};
}

}  // namespace predictd
