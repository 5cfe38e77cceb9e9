// What test_chat_template.py cannot see: use from several threads, and bytes that are no text.

#include "server/template/chat_template.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace predictd {
namespace {

// {% for m in messages %}{{ '<' + m.role + '>' + m.content|trim }}{% endfor %}{% if add_generation_prompt %}>{% endif
// %}
constexpr char kTemplate[] = R"({"version": 1, "bos_token": null, "eos_token": "</s>", "body": [
  {"type": "For", "line": 1, "target": {"type": "Name", "name": "m"}, "iter": {"type": "Name", "name": "messages"},
   "test": null, "recursive": false, "else_": [], "body": [{"type": "Output", "line": 2, "nodes": [
     {"type": "Add", "left": {"type": "Add", "left": {"type": "Add", "left": {"type": "Const", "value": "<"},
        "right": {"type": "Getattr", "node": {"type": "Name", "name": "m"}, "attr": "role"}},
        "right": {"type": "Const", "value": ">"}},
      "right": {"type": "Filter", "name": "trim", "args": [], "kwargs": [], "dyn_args": null, "dyn_kwargs": null,
        "node": {"type": "Getattr", "node": {"type": "Name", "name": "m"}, "attr": "content"}}}]}]},
  {"type": "If", "line": 3, "test": {"type": "Name", "name": "add_generation_prompt"}, "elif_": [], "else_": [],
   "body": [{"type": "Output", "line": 3, "nodes": [{"type": "TemplateData", "data": ">"}]}]}]})";

ChatTemplate Load() {
  absl::StatusOr<ChatTemplate> chat = ChatTemplate::Load(kTemplate);
  EXPECT_TRUE(chat.ok()) << chat.status();
  return *std::move(chat);
}

TEST(ChatTemplateTest, TextOfTheTemplateIsTrustedAndOfMessagesIsNot) {
  const std::vector<ChatMessage> messages = {{"user", " <a> "}, {"<b>", "c"}};
  const absl::StatusOr<RenderedChat> chat = Load().Render({.messages = messages});
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_EQ(chat->text, "<user><a><<b>>c>");
  EXPECT_EQ(chat->trusted, (std::vector<TextRange>{{0, 6}, {9, 10}, {13, 14}, {15, 16}}));
}

TEST(ChatTemplateTest, NoMessagesAreAChat) {
  const absl::StatusOr<RenderedChat> chat = Load().Render({.messages = {}, .add_generation_prompt = false});
  ASSERT_TRUE(chat.ok());
  EXPECT_EQ(chat->text, "");
  EXPECT_TRUE(chat->trusted.empty());
}

TEST(ChatTemplateTest, BytesThatAreNoTextPassThrough) {
  const std::vector<ChatMessage> messages = {{"user", absl::string_view("\xff\0\xc3", 3)}};
  const absl::StatusOr<RenderedChat> chat = Load().Render({.messages = messages, .add_generation_prompt = false});
  ASSERT_TRUE(chat.ok());
  EXPECT_EQ(chat->text, std::string("<user>\xff\0\xc3", 9));
}

TEST(ChatTemplateTest, BrokenDocumentsAreRefused) {
  for (const char* json : {"", "{", "[]", "null", "{\"version\": 1}", "{\"version\": \"1\", \"body\": []}"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ChatTemplate::Load(json).status())) << json;
  }
  // Each piece of it missing.
  const std::string whole = kTemplate;
  for (size_t size = 0; size < whole.size(); size += 29) {
    EXPECT_FALSE(ChatTemplate::Load(whole.substr(0, size)).ok());
  }
  EXPECT_FALSE(ChatTemplate::Load(std::string(100'000, '[')).ok());
}

// {{ messages.x }}{% if thinking is defined %}{% set y = level %}{% endif %}{{ y }}{{ bos_token }}
TEST(ChatTemplateTest, VariablesThatItReadsAreItsArguments) {
  const absl::StatusOr<ChatTemplate> chat = ChatTemplate::Load(R"({"version": 1, "body": [
    {"type": "Output", "line": 1, "nodes": [
      {"type": "Getattr", "node": {"type": "Name", "name": "messages"}, "attr": "x"}]},
    {"type": "If", "line": 1, "test": {"type": "Test", "name": "defined", "args": [], "kwargs": [], "dyn_args": null,
       "dyn_kwargs": null, "node": {"type": "Name", "name": "thinking"}}, "elif_": [], "else_": [],
     "body": [{"type": "Assign", "line": 1, "target": {"type": "Name", "name": "y"},
               "node": {"type": "Name", "name": "level"}}]},
    {"type": "Output", "line": 1, "nodes": [{"type": "Name", "name": "y"}, {"type": "Name", "name": "bos_token"}]}]})");
  ASSERT_TRUE(chat.ok()) << chat.status();
  // y, too: it is set only sometimes.
  EXPECT_EQ(chat->arguments(), (std::vector<std::string>{"level", "thinking", "y"}));
  const ChatValue::Dict arguments = {{"level", {absl::string_view("<s>")}}, {"thinking", {true}}};
  const absl::StatusOr<RenderedChat> rendered = chat->Render({.messages = {}, .arguments = &arguments});
  ASSERT_TRUE(rendered.ok()) << rendered.status();
  EXPECT_EQ(rendered->text, "<s>");
  EXPECT_TRUE(rendered->trusted.empty());
  EXPECT_TRUE(ChatTemplate::IsReserved("bos_token"));
  EXPECT_FALSE(ChatTemplate::IsReserved("tools"));
}

TEST(ChatTemplateTest, ThreadsShareOne) {
  const ChatTemplate chat_template = Load();
  std::vector<std::thread> threads;
  std::vector<std::string> texts(4);
  for (size_t i = 0; i < texts.size(); ++i) {
    threads.emplace_back([&chat_template, &text = texts[i], i] {
      const std::string content = std::to_string(i);
      const std::vector<ChatMessage> messages(100, {"user", content});
      for (int round = 0; round < 20; ++round) text = chat_template.Render({.messages = messages})->text;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < texts.size(); ++i) {
    std::string expected;
    for (int message = 0; message < 100; ++message) expected += "<user>" + std::to_string(i);
    EXPECT_EQ(texts[i], expected + ">");
  }
}

}  // namespace
}  // namespace predictd
