#include "server/generation/prompt_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr int32_t kSpecial = 100;

// Each byte is a token, and a trusted '!' is the special one.
class ByteTokenizer final : public Tokenizer {
 public:
  ByteTokenizer() : Tokenizer(Table()) {}

  // Called whenever text is encoded.
  std::function<void()> on_encode = [] {};

 private:
  static TokenTable Table() {
    TokenTable table;
    for (char c = 'a'; c <= 'z'; ++c) table.At(c - 'a').bytes = std::string(1, c);
    table.At(kSpecial) = {.bytes = "!", .special = true};
    return table;
  }

  void EncodeText(MarkedView text, const EncodeLimits& limits, std::vector<int32_t>& ids) const override {
    on_encode();
    for (size_t i = 0; i < text.text().size() && !limits.GivesUp(ids.size()); ++i) {
      const char c = text.text()[i];
      if (c >= 'a' && c <= 'z') ids.push_back(c - 'a');
      if (c == '!' && text.AllTrusted(i, i + 1)) ids.push_back(kSpecial);
    }
  }
};

// {% for m in messages %}!{{ m.role }}{{ m.content }}{% endfor %}{{ level }}{{ raise_exception(reason) if reason }}
constexpr char kTemplate[] = R"({"version": 1, "bos_token": null, "eos_token": null, "body": [
  {"type": "For", "line": 1, "target": {"type": "Name", "name": "m"}, "iter": {"type": "Name", "name": "messages"},
   "test": null, "recursive": false, "else_": [], "body": [{"type": "Output", "line": 1, "nodes": [
     {"type": "TemplateData", "data": "!"},
     {"type": "Getattr", "node": {"type": "Name", "name": "m"}, "attr": "role"},
     {"type": "Getattr", "node": {"type": "Name", "name": "m"}, "attr": "content"}]}]},
  {"type": "Output", "line": 1, "nodes": [{"type": "Name", "name": "level"}]},
  {"type": "If", "line": 2, "test": {"type": "Name", "name": "reason"}, "elif_": [], "else_": [],
   "body": [{"type": "Output", "line": 2, "nodes": [{"type": "Call", "node": {"type": "Name", "name": "raise_exception"},
     "args": [{"type": "Name", "name": "reason"}], "kwargs": [], "dyn_args": null, "dyn_kwargs": null}]}]}]})";

class PromptEncoderTest : public testing::Test {
 protected:
  PromptEncoder Make(GeneratorConfig config = {}, bool with_template = true) {
    config.vocabulary_size = config.vocabulary_size == 0 ? kSpecial + 1 : config.vocabulary_size;
    config.max_length = 50;
    std::shared_ptr<const ChatTemplate> chat;
    if (with_template) {
      absl::StatusOr<ChatTemplate> loaded = ChatTemplate::Load(kTemplate);
      EXPECT_TRUE(loaded.ok()) << loaded.status();
      chat = std::make_shared<const ChatTemplate>(*std::move(loaded));
    }
    return PromptEncoder(config, tokenizer_, std::move(chat));
  }

  static ChatPrompt Chat(ChatValue::Dict arguments = {}) {
    return {.messages = {{"user", "hi!"}}, .template_arguments = std::move(arguments)};
  }

  // What is wrong, as "field: description".
  std::vector<std::string> Check(const Prompt& prompt) {
    const absl::StatusOr<std::vector<WrongField>> wrong = Make().Check(prompt);
    EXPECT_TRUE(wrong.ok()) << wrong.status();
    std::vector<std::string> result;
    for (const auto& [field, description] : *wrong) result.push_back(absl::StrCat(field, ": ", description));
    return result;
  }

  absl::StatusOr<std::vector<int32_t>> Encode(const Prompt& prompt) { return Make().Encode(prompt, stop_); }

  std::shared_ptr<ByteTokenizer> tokenizer_ = std::make_shared<ByteTokenizer>();
  StopSource stop_;
};

ChatValue Nested(int depth) {
  if (depth == 0) return {int64_t{1}};
  return {ChatValue::List{Nested(depth - 1)}};
}

TEST_F(PromptEncoderTest, WhatIsRightHasNothingWrong) {
  const std::vector<int32_t> ids = {0, kSpecial};
  EXPECT_THAT(Check(TextPrompt{"abc"}), IsEmpty());
  EXPECT_THAT(Check(Chat()), IsEmpty());
  EXPECT_THAT(Check(Chat({{"level", Nested(15)}, {"reason", {}}})), IsEmpty());
  EXPECT_THAT(Check(TokenPrompt{ids}), IsEmpty());
}

TEST_F(PromptEncoderTest, EachWrongFieldIsNamed) {
  EXPECT_THAT(Check({}), ElementsAre("prompt: expected one of text, chat and token_ids, got none"));
  EXPECT_THAT(Check(TextPrompt{std::string(801, 'a')}),
              ElementsAre("text: expected a prompt of fewer than 50 tokens, got 801 bytes"));
  EXPECT_THAT(Check(TokenPrompt{}), ElementsAre("prompt: expected 1 to 49 tokens, got 0"));
  const std::vector<int32_t> many(50, 1);
  EXPECT_THAT(Check(TokenPrompt{many}), ElementsAre("prompt: expected 1 to 49 tokens, got 50"));
  const std::vector<int32_t> unknown = {1, -1, kSpecial + 1};
  EXPECT_THAT(Check(TokenPrompt{unknown}), ElementsAre("token_ids.ids[1]: expected a token id from 0 to 100, got -1",
                                                       "token_ids.ids[2]: expected a token id from 0 to 100, got 101"));
}

TEST_F(PromptEncoderTest, EachWrongFieldOfAChatIsNamed) {
  EXPECT_THAT(Check(ChatPrompt{}), ElementsAre("chat.messages: expected at least one message, got none"));
  EXPECT_THAT(Check(ChatPrompt{.messages = std::vector<ChatMessage>(51)}),
              ElementsAre("chat.messages: expected at most 50 messages, got 51"));
  ChatPrompt chat = Chat({{"level", Nested(16)}, {"messages", {}}, {"other", {}}});
  chat.messages.push_back({"", "there"});
  chat.argument_bytes = 801;
  EXPECT_THAT(Check(chat),
              ElementsAre("chat.messages[1].role: expected a role, as user, got none",
                          StartsWith("chat: expected a prompt of fewer than 50 tokens, got 813 bytes"),
                          "chat.template_arguments[\"messages\"]: expected another name: the server sets this variable",
                          "chat.template_arguments[\"other\"]: expected a variable that the model's template reads: "
                          "level, reason",
                          "chat.template_arguments: expected values within each other at most 16 deep, got more"));
}

TEST_F(PromptEncoderTest, NoMoreErrorsThanACallerIsToldOf) {
  const std::vector<int32_t> ids(49, -1);
  EXPECT_EQ(Check(TokenPrompt{ids}).size(), PromptEncoder::kMostWrong);
  EXPECT_EQ(Check(ChatPrompt{.messages = std::vector<ChatMessage>(50)}).size(), PromptEncoder::kMostWrong);
}

TEST_F(PromptEncoderTest, ChatNeedsATemplate) {
  const absl::Status status = Make({}, /*with_template=*/false).Check(Chat()).status();
  EXPECT_EQ(status, absl::FailedPreconditionError("the model has no chat template: send text instead"));
}

TEST_F(PromptEncoderTest, AFewBytesAreAShortPrompt) {
  const std::string large(10'000, 'x');
  EXPECT_TRUE(PromptEncoder::IsShort(TextPrompt{"hello"}));
  EXPECT_FALSE(PromptEncoder::IsShort(TextPrompt{large}));
  EXPECT_TRUE(PromptEncoder::IsShort(Chat()));
  EXPECT_FALSE(PromptEncoder::IsShort(ChatPrompt{.messages = {{"user", large}}}));
  EXPECT_FALSE(PromptEncoder::IsShort(ChatPrompt{.messages = std::vector<ChatMessage>(9)}));
  ChatPrompt arguments = Chat();
  arguments.argument_bytes = 10'000;
  EXPECT_FALSE(PromptEncoder::IsShort(arguments));
}

TEST_F(PromptEncoderTest, TokensAreAShortPrompt) {
  const std::vector<int32_t> ids(10'000);
  EXPECT_TRUE(PromptEncoder::IsShort(TokenPrompt{ids}));
}

TEST_F(PromptEncoderTest, SwitchesAndTextForTheTemplateKeepAPromptShort) {
  EXPECT_TRUE(PromptEncoder::IsShort(Chat({{"a", {true}}, {"b", {absl::string_view("high")}}, {"c", {}}})));
}

// A template may count to it.
TEST_F(PromptEncoderTest, ANumberForTheTemplateMakesNoShortPrompt) {
  const ChatValue number = {int64_t{19'000'000}};
  for (const ChatValue& value :
       {number, ChatValue{1e9}, ChatValue{ChatValue::List{number}}, ChatValue{ChatValue::Dict{{"n", number}}}}) {
    EXPECT_FALSE(PromptEncoder::IsShort(Chat({{"n", value}})));
  }
}

TEST_F(PromptEncoderTest, TextIsEncodedAfterTheFirstToken) {
  EXPECT_THAT(*Encode(TextPrompt{"a!b"}), ElementsAre(0, 1));
  EXPECT_THAT(*Encode(TextPrompt{"a!b", /*parse_special_tokens=*/true}), ElementsAre(0, kSpecial, 1));
  EXPECT_THAT(*Make({.bos_token_id = 7}).Encode(TextPrompt{"a!b"}, stop_), ElementsAre(7, 0, 1));
}

TEST_F(PromptEncoderTest, ChatIsEncodedAsItsTemplateWritesIt) {
  // Only the template's own mark is special. A chat gets its first token from its template.
  const PromptEncoder encoder = Make({.bos_token_id = 7});
  EXPECT_THAT(*encoder.Encode(Chat({{"level", {absl::string_view("z!")}}}), stop_),
              ElementsAre(kSpecial, 20, 18, 4, 17, 7, 8, 25));
}

TEST_F(PromptEncoderTest, TokensStayAsTheyAre) {
  const std::vector<int32_t> ids = {5, kSpecial, 5};
  EXPECT_THAT(*Make({.bos_token_id = 7}).Encode(TokenPrompt{ids}, stop_), ElementsAre(5, kSpecial, 5));
}

TEST_F(PromptEncoderTest, WhatOnlyTheTokensShowIsAnErrorOfAField) {
  EXPECT_EQ(Encode(TextPrompt{"?"}).status(), absl::InvalidArgumentError("prompt: expected 1 to 49 tokens, got 0"));
  EXPECT_EQ(Encode(TextPrompt{std::string(60, 'a')}).status(),
            absl::InvalidArgumentError("prompt: expected 1 to 49 tokens, got at least 50"));
  EXPECT_EQ(Encode(Chat({{"reason", {absl::string_view("no: never")}}})).status(),
            absl::InvalidArgumentError("chat: no: never"));
  const absl::Status unknown =
      Make({.vocabulary_size = 50}).Encode(TextPrompt{"a!", /*parse_special_tokens=*/true}, stop_).status();
  EXPECT_EQ(unknown,
            absl::InvalidArgumentError("prompt: expected tokens from 0 to 49, which the model knows, got 100 ('!')"));
}

TEST_F(PromptEncoderTest, EncodingEndsWithItsCaller) {
  tokenizer_->on_encode = [this] { stop_.RequestStop(StopReason::kDeadline); };
  const absl::Status in_text = Encode(TextPrompt{"abc"}).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(in_text));
  EXPECT_THAT(std::string(in_text.message()), HasSubstr("the prompt"));
  tokenizer_->on_encode = [] { FAIL() << "the chat was encoded for nobody"; };
  const absl::Status in_template = Encode(Chat({{"level", {}}})).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(in_template)) << in_template;
}

}  // namespace
}  // namespace predictd
