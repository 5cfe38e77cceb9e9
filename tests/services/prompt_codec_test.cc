#include "server/services/prompt_codec.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>

namespace predictd {
namespace {

TEST(PromptCodecTest, RequestWithoutAPromptHasNone) {
  EXPECT_TRUE(std::holds_alternative<std::monostate>(ReadPrompt(v1::GenerationRequest())));
}

TEST(PromptCodecTest, TextIsNotCopied) {
  v1::GenerationRequest request;
  request.set_text(std::string(1000, 'x'));
  const auto plain = std::get<TextPrompt>(ReadPrompt(request));
  EXPECT_EQ(plain.text, request.text());
  EXPECT_EQ(plain.text.data(), request.text().data());
  EXPECT_FALSE(plain.parse_special_tokens);
  request.set_parse_special_tokens(true);
  EXPECT_TRUE(std::get<TextPrompt>(ReadPrompt(request)).parse_special_tokens);
}

TEST(PromptCodecTest, TokensAreNotCopied) {
  v1::GenerationRequest request;
  const auto none = [&request] { return std::get<TokenPrompt>(ReadPrompt(request)).ids.empty(); };
  request.mutable_token_ids();
  EXPECT_TRUE(none());
  request.mutable_token_ids()->add_ids(5);
  request.mutable_token_ids()->add_ids(-1);
  const auto tokens = std::get<TokenPrompt>(ReadPrompt(request));
  EXPECT_EQ(tokens.ids, (std::vector<int32_t>{5, -1}));
  EXPECT_EQ(tokens.ids.data(), request.token_ids().ids().data());
}

TEST(PromptCodecTest, MessagesAreNotCopied) {
  v1::GenerationRequest request;
  for (const char* role : {"user", "assistant"}) {
    v1::ChatMessage& message = *request.mutable_chat()->add_messages();
    message.set_role(role);
    message.set_content(std::string(1000, 'x'));
  }
  const auto chat = std::get<ChatPrompt>(ReadPrompt(request));
  ASSERT_EQ(chat.messages.size(), 2);
  EXPECT_EQ(chat.messages[0].role, "user");
  EXPECT_EQ(chat.messages[1].role, "assistant");
  EXPECT_EQ(chat.messages[1].content.data(), request.chat().messages(1).content().data());
  EXPECT_TRUE(chat.template_arguments.empty());
  EXPECT_EQ(chat.argument_bytes, 0);
}

TEST(PromptCodecTest, ArgumentsKeepTheirTypes) {
  v1::GenerationRequest request;
  auto& arguments = *request.mutable_chat()->mutable_template_arguments();
  arguments["a"];
  arguments["b"].set_bool_value(true);
  arguments["c"].set_int64_value(3);
  arguments["d"].set_double_value(3);
  arguments["e"].set_string_value(std::string(1000, 'x'));
  arguments["f"].mutable_list_value()->add_values()->set_int64_value(4);
  const auto chat = std::get<ChatPrompt>(ReadPrompt(request));
  const ChatValue::Dict& read = chat.template_arguments;
  ASSERT_EQ(read.size(), 6);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(read[0].value.value));
  EXPECT_EQ(std::get<bool>(read[1].value.value), true);
  EXPECT_EQ(std::get<int64_t>(read[2].value.value), 3);
  EXPECT_EQ(std::get<double>(read[3].value.value), 3);
  EXPECT_EQ(std::get<absl::string_view>(read[4].value.value).data(), arguments["e"].string_value().data());
  EXPECT_EQ(std::get<int64_t>(std::get<ChatValue::List>(read[5].value.value).at(0).value), 4);
  EXPECT_GT(chat.argument_bytes, 1000);
  EXPECT_LT(chat.argument_bytes, 1050);
}

TEST(PromptCodecTest, EntriesAreInAlphabeticalOrder) {
  v1::GenerationRequest request;
  auto& arguments = *request.mutable_chat()->mutable_template_arguments();
  auto& inner = *arguments["dict"].mutable_dict_value()->mutable_entries();
  std::string order;
  for (const char* name : {"c", "e", "a", "d", "b"}) {
    arguments[name];
    inner[name];
  }
  const auto chat = std::get<ChatPrompt>(ReadPrompt(request));
  for (const ChatMember& member : chat.template_arguments) order += std::string(member.name);
  EXPECT_EQ(order, "abcddicte");
  order.clear();
  for (const ChatMember& member : std::get<ChatValue::Dict>(chat.template_arguments[4].value.value)) {
    order += std::string(member.name);
  }
  EXPECT_EQ(order, "abcde");
}

}  // namespace
}  // namespace predictd
