#include "client/predictctl/generate_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "tests/client/flush_watcher.h"
#include "tests/client/in_process_server.h"

namespace predictd {
namespace {

using ::testing::HasSubstr;

constexpr char kUsageOfThree[] =
    "prompt 12 tokens, 8 of them cached; 3 generated; first after 120 ms; 83.1 tokens/s; finished: stop\n";

class GenerateCommandTest : public ::testing::Test {
 protected:
  CommandContext Context() {
    return {.client = *client_, .arguments = common_, .control = control_, .out = out_, .err = err_};
  }

  int Generate(const GenerateArguments& arguments, const std::string& prompt) {
    return RunGenerate(Context(), arguments, prompt);
  }

  TestServer server_;
  const std::unique_ptr<Client> client_ = *Client::Create({.address = server_.address()});
  const std::shared_ptr<CallControl> control_ = std::make_shared<CallControl>();
  CommonArguments common_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(GenerateCommandTest, TextIsPrintedAndThenWhatItTook) {
  EXPECT_EQ(Generate({.generation = {.model = "echo"}}, "once upon time"), 0);
  EXPECT_EQ(out_.str(), "once upon time\n");
  EXPECT_EQ(err_.str(), kUsageOfThree);
  EXPECT_EQ(server_.last_stream().predict().generation().text(), "once upon time");
}

TEST_F(GenerateCommandTest, TextThatEndsItsLineGetsNoFurtherNewline) {
  EXPECT_EQ(Generate({.generation = {.model = "echo"}}, "a\n"), 0);
  EXPECT_EQ(out_.str(), "a\n");
}

TEST_F(GenerateCommandTest, AnEmptyAnswerPrintsNothing) {
  EXPECT_EQ(Generate({.generation = {.model = "echo"}}, ""), 0);
  EXPECT_EQ(out_.str(), "");
  EXPECT_THAT(err_.str(), HasSubstr("finished: stop"));
}

TEST_F(GenerateCommandTest, ATerminalGetsNoControlCharacters) {
  CommandContext context{
      .client = *client_, .arguments = common_, .control = control_, .out = out_, .err = err_, .out_is_terminal = true};
  EXPECT_EQ(RunGenerate(context, {.generation = {.model = "echo"}}, "red \x1b[31m text\r"), 0);
  EXPECT_EQ(out_.str(), "red \\x1b[31m text\\x0d\n");
  out_.str("");
  EXPECT_EQ(Generate({.generation = {.model = "echo"}}, "red \x1b[31m text\r"), 0);
  EXPECT_EQ(out_.str(), "red \x1b[31m text\r\n") << "a file gets all as it is";
}

TEST_F(GenerateCommandTest, AChatHasTheSystemMessageFirst) {
  EXPECT_EQ(Generate({.generation = {.model = "echo"}, .chat = true}, "hello"), 0);
  EXPECT_EQ(server_.last_stream().predict().generation().chat().ShortDebugString(),
            "messages { role: \"user\" content: \"hello\" }");
  EXPECT_EQ(Generate({.generation = {.model = "echo", .system = "Be brief."}}, "hello"), 0);
  EXPECT_EQ(server_.last_stream().predict().generation().chat().ShortDebugString(),
            "messages { role: \"system\" content: \"Be brief.\" } messages { role: \"user\" content: \"hello\" }");
}

TEST_F(GenerateCommandTest, VariablesOfTheTemplateGoWithTheChat) {
  const std::vector<std::string> variables = {"thinking=false", "level=\"high\"", "list=[1, null, 2.5]",
                                              "dict={\"a\": {}}", "thinking=true"};
  EXPECT_EQ(Generate({.generation = {.model = "echo", .template_arguments = variables}}, "hello"), 0);
  const v1::Chat chat = server_.last_stream().predict().generation().chat();
  EXPECT_EQ(chat.messages_size(), 1) << "the prompt is a question in a chat";
  const auto& fields = chat.template_arguments();
  EXPECT_EQ(fields.size(), 4);
  EXPECT_TRUE(fields.at("thinking").bool_value());
  EXPECT_EQ(fields.at("level").string_value(), "high");
  EXPECT_EQ(fields.at("list").ShortDebugString(),
            "list_value { values { int64_value: 1 } values { } values { double_value: 2.5 } }");
  EXPECT_EQ(fields.at("dict").ShortDebugString(), "dict_value { entries { key: \"a\" value { dict_value { } } } }");
}

TEST_F(GenerateCommandTest, AVariableThatIsNoJsonIsNamed) {
  for (const std::string wrong : {"thinking", "=1", "level=high", "level=", "level={", "level=\"a"}) {
    err_.str("");
    EXPECT_EQ(Generate({.generation = {.model = "echo", .template_arguments = {wrong}}}, "hello"), 2) << wrong;
    EXPECT_THAT(err_.str(), HasSubstr("--template-arg: expected NAME=JSON")) << wrong;
    EXPECT_THAT(err_.str(), HasSubstr("got '" + wrong + "'"));
  }
}

TEST_F(GenerateCommandTest, SeveralAnswersArePrintedOneAfterTheOther) {
  EXPECT_EQ(Generate({.generation = {.model = "echo", .max_tokens = 2, .n = 3}}, "a b c"), 0);
  EXPECT_EQ(out_.str(),
            "--- answer 1 of 3 ---\na b\n"
            "--- answer 2 of 3 ---\n1 a b\n"
            "--- answer 3 of 3 ---\n2 a b\n");
  EXPECT_THAT(err_.str(), HasSubstr("6 generated"));
  EXPECT_THAT(err_.str(), HasSubstr("finished: length, length, length\n"));
}

TEST_F(GenerateCommandTest, NoRoomIsMadeForMoreAnswersThanTheServerGives) {
  for (const std::int32_t n : {std::numeric_limits<std::int32_t>::min(), -1, 0, 17, 2'000'000'000}) {
    EXPECT_EQ(Generate({.generation = {.model = "echo", .n = n}}, "a"), 13) << n;
    EXPECT_THAT(err_.str(), HasSubstr("generation.n: expected 1 to 16"));
    EXPECT_EQ(server_.last_stream().predict().generation().n(), n);
  }
}

TEST_F(GenerateCommandTest, AVariableThatIsNestedTooDeepIsRefused) {
  const std::string deep = "list=" + std::string(200'000, '[') + std::string(200'000, ']');
  EXPECT_EQ(Generate({.generation = {.model = "echo", .template_arguments = {deep}}}, "hello"), 2);
  EXPECT_THAT(err_.str(), ::testing::EndsWith("...': nested deeper than 64\n"));
  EXPECT_LT(err_.str().size(), 250);
}

TEST_F(GenerateCommandTest, LogprobsFollowTheText) {
  EXPECT_EQ(Generate({.generation = {.model = "echo", .n = 2, .logprobs = 2}}, "a"), 0);
  EXPECT_THAT(err_.str(), HasSubstr("--- answer 1 of 2 ---\n"
                                    "TOKEN  LOGPROB  LIKELIEST\n"
                                    "100    -0.500   100 -0.500, 101 -1.500\n"
                                    "--- answer 2 of 2 ---\n"
                                    "TOKEN  LOGPROB  LIKELIEST\n"
                                    "100    -0.500   100 -0.500, 101 -1.500\n"
                                    "prompt 12"));
}

TEST_F(GenerateCommandTest, JsonIsALineForEachEvent) {
  common_.json = true;
  EXPECT_EQ(Generate({.generation = {.model = "echo", .request_id = "r"}}, "a b"), 0);
  std::istringstream printed(out_.str());
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(printed, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 5);
  EXPECT_EQ(lines[0]["start"]["request_id"], "r");
  EXPECT_EQ(lines[1]["delta"]["text"], "a");
  EXPECT_EQ(lines[2]["delta"]["text"], " b");
  EXPECT_EQ(lines[2]["delta"]["finish_reason"], "FINISH_REASON_STOP");
  EXPECT_EQ(lines[3]["summary"]["usage"]["generated_tokens"], "2");
  EXPECT_EQ(lines[4]["end"]["code"], "OK");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(GenerateCommandTest, InterruptKeepsWhatCame) {
  FlushWatcher printed(/*flushes=*/3);  // One for the start, one for each word.
  std::ostream out(&printed);
  const CommandContext context{.client = *client_, .arguments = common_, .control = control_, .out = out, .err = err_};
  std::thread interrupt([&] {
    printed.flushed().WaitForNotification();
    control_->Cancel();
  });
  EXPECT_EQ(RunGenerate(context, {.generation = {.model = "echo"}}, "two words ..."), 130);
  interrupt.join();
  EXPECT_EQ(printed.str(), "two words\n");
  EXPECT_EQ(err_.str(), "predictctl: interrupted, the call was cancelled\n");
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(GenerateCommandTest, AnswersWhoseTurnWasYetToComeAreShownWhenTheCallFails) {
  common_.deadline = absl::Seconds(1);
  EXPECT_EQ(Generate({.generation = {.model = "echo", .n = 2}}, "a b ..."), 14);
  EXPECT_EQ(out_.str(), "--- answer 1 of 2 ---\na b\n--- answer 2 of 2 ---\n1 a b\n");
  EXPECT_THAT(err_.str(), HasSubstr("DEADLINE_EXCEEDED"));
}

TEST_F(GenerateCommandTest, APieceOfNoAnswerIsALocalError) {
  EXPECT_EQ(Generate({.generation = {.model = "rude"}}, "a"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("a piece of answer 7 of 1"));
}

}  // namespace
}  // namespace predictd
