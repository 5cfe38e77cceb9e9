#include "client/predictctl/chat_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "tests/client/flush_watcher.h"
#include "tests/client/in_process_server.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;

// Runs a chat as main does, with strings in place of the terminal.
class ChatCommandTest : public ::testing::Test {
 protected:
  int Chat(const std::string& lines, const ChatArguments& arguments = {.generation = {.model = "echo"}},
           bool is_terminal = false) {
    return ChatTo(out_, lines, arguments, is_terminal);
  }

  int ChatTo(std::ostream& out, const std::string& lines, const ChatArguments& arguments, bool is_terminal) {
    std::istringstream in(lines);
    const CommandContext context{
        .client = *client_, .arguments = common_, .control = control_, .out = out, .err = err_};
    return RunChat(context, arguments, {.in = in, .is_terminal = is_terminal}, interrupts_);
  }

  // The roles and contents of the last question's conversation.
  std::vector<std::pair<std::string, std::string>> Asked() {
    const v1::PredictStreamRequest request = server_.last_stream();
    std::vector<std::pair<std::string, std::string>> messages;
    for (const v1::ChatMessage& message : request.predict().generation().chat().messages()) {
      messages.emplace_back(message.role(), message.content());
    }
    return messages;
  }

  TestServer server_;
  const std::unique_ptr<Client> client_ = *Client::Create({.address = server_.address()});
  const std::shared_ptr<CallControl> control_ = std::make_shared<CallControl>();
  Interrupts interrupts_;
  CommonArguments common_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(ChatCommandTest, EachLineIsAQuestionAndTheModelKnowsWhatWasSaid) {
  EXPECT_EQ(Chat("first one\n\n  \nlast", {.generation = {.model = "echo", .system = "Be brief."}}), 0);
  EXPECT_EQ(out_.str(), "first one\nlast\n");
  EXPECT_THAT(Asked(), ElementsAre(Pair("system", "Be brief."), Pair("user", "first one"),
                                   Pair("assistant", "first one"), Pair("user", "last")));
}

TEST_F(ChatCommandTest, OptionsAreThoseOfEveryQuestion) {
  EXPECT_EQ(Chat("a b\nc d\n", {.generation = {.model = "echo", .max_tokens = 1, .n = 2}}), 0);
  EXPECT_EQ(out_.str(),
            "--- answer 1 of 2 ---\na\n--- answer 2 of 2 ---\n1 a\n"
            "--- answer 1 of 2 ---\nc\n--- answer 2 of 2 ---\n1 c\n");
  EXPECT_THAT(Asked(), ElementsAre(Pair("user", "a b"), Pair("assistant", "a"), Pair("user", "c d")));
}

TEST_F(ChatCommandTest, ResetForgetsButForTheSystemMessage) {
  EXPECT_EQ(Chat("a\n/reset\nb\n", {.generation = {.model = "echo", .system = "s"}}), 0);
  EXPECT_THAT(Asked(), ElementsAre(Pair("system", "s"), Pair("user", "b")));
}

TEST_F(ChatCommandTest, SystemReplacesTheSystemMessage) {
  EXPECT_EQ(Chat("a\n/system  Be kind. \nb\n"), 0);
  EXPECT_THAT(Asked(),
              ElementsAre(Pair("system", "Be kind."), Pair("user", "a"), Pair("assistant", "a"), Pair("user", "b")));
  EXPECT_EQ(Chat("/system\na\n", {.generation = {.model = "echo", .system = "s"}}), 0);
  EXPECT_THAT(Asked(), ElementsAre(Pair("user", "a")));
}

TEST_F(ChatCommandTest, TwoSlashesBeginAQuestionWithOne) {
  EXPECT_EQ(Chat("//reset\n"), 0);
  EXPECT_THAT(Asked(), ElementsAre(Pair("user", "/reset")));
}

TEST_F(ChatCommandTest, AnInterruptedAnswerStaysAsFarAsItWasShown) {
  FlushWatcher printed(/*flushes=*/3);  // One for the start, one for each word.
  std::ostream out(&printed);
  std::thread interrupt([&] {
    printed.flushed().WaitForNotification();
    EXPECT_TRUE(interrupts_.Interrupt());
  });
  EXPECT_EQ(ChatTo(out, "tell me ...\nand then\n", {.generation = {.model = "echo"}}, false), 0);
  interrupt.join();
  EXPECT_EQ(printed.str(), "tell me\nand then\n");
  EXPECT_THAT(err_.str(), StartsWith("predictctl: interrupted, the call was cancelled\nprompt 12"));
  EXPECT_THAT(Asked(),
              ElementsAre(Pair("user", "tell me ..."), Pair("assistant", "tell me"), Pair("user", "and then")));
}

TEST_F(ChatCommandTest, InterruptsBetweenAnswersAreForTheProcess) {
  interrupts_.CancelOnInterrupt(control_);
  EXPECT_EQ(Chat("a\n"), 0);
  EXPECT_FALSE(interrupts_.Interrupt());
  EXPECT_FALSE(control_->cancelled());
}

TEST_F(ChatCommandTest, TerminationEndsTheChatAfterTheAnswer) {
  FlushWatcher printed(/*flushes=*/3);
  std::ostream out(&printed);
  std::thread terminate([&] {
    printed.flushed().WaitForNotification();
    EXPECT_TRUE(interrupts_.Terminate());
  });
  EXPECT_EQ(ChatTo(out, "tell me ...\nand then\n", {.generation = {.model = "echo"}}, true), 130);
  terminate.join();
  EXPECT_EQ(printed.str(), "tell me\n");
}

TEST_F(ChatCommandTest, AFailedCallEndsAChatThatNobodyTypes) {
  EXPECT_EQ(Chat("a\nb\n", {.generation = {.model = "double"}}), 19);
  EXPECT_THAT(Asked(), ElementsAre(Pair("user", "a")));
  EXPECT_THAT(err_.str(), StartsWith("predictctl: FAILED_PRECONDITION"));
}

TEST_F(ChatCommandTest, APersonMayGoOnAfterAFailedCall) {
  EXPECT_EQ(Chat("a\nb\n", {.generation = {.model = "double"}}, /*is_terminal=*/true), 0);
  EXPECT_THAT(Asked(), ElementsAre(Pair("user", "b"))) << "a question that got no answer is forgotten";
}

TEST_F(ChatCommandTest, APersonIsGreetedAndPrompted) {
  EXPECT_EQ(Chat("/help\nhello\n", {.generation = {.model = "echo"}}, /*is_terminal=*/true), 0);
  EXPECT_EQ(out_.str(), "hello\n");
  EXPECT_THAT(err_.str(), StartsWith("echo: Repeats what it hears.\nCtrl-C stops an answer or clears the line"));
  EXPECT_THAT(err_.str(), HasSubstr("> /reset "));
  EXPECT_THAT(err_.str(), ::testing::EndsWith("finished: stop\n> \n"));
}

TEST_F(ChatCommandTest, AnUnknownModelIsToldBeforeAnythingIsTyped) {
  EXPECT_EQ(Chat("a\n", {.generation = {.model = "unknown"}}, /*is_terminal=*/true), 15);
  EXPECT_EQ(err_.str(), "predictctl: NOT_FOUND: no model 'unknown', only 'double'\n");
}

// A question, or an answer to it, of so many words.
std::string Words(int count) {
  std::string words = "word";
  for (int i = 1; i < count; ++i) words += " word";
  return words;
}

TEST_F(ChatCommandTest, AtTheLimitOfTheContextTheOldestTurnsAreForgotten) {
  // Each turn has 12 words, and the context 40.
  const std::string six = Words(6);
  EXPECT_EQ(Chat("a " + Words(5) + "\nb " + Words(5) + "\nc " + Words(5) + "\n" + six + "\n",
                 {.generation = {.model = "echo", .system = "s"}}),
            0);
  EXPECT_THAT(Asked(), ElementsAre(Pair("system", "s"), Pair("user", "c " + Words(5)),
                                   Pair("assistant", "c " + Words(5)), Pair("user", six)));
  EXPECT_THAT(err_.str(), HasSubstr("predictctl: the conversation is too long for the model: forgot the oldest 2 "
                                    "questions and their answers\nprompt 12"));
  const std::string told = err_.str();
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 5) << told;
  EXPECT_THAT(out_.str(), ::testing::EndsWith(six + "\n"));
}

TEST_F(ChatCommandTest, WhatIsForgottenStaysForgotten) {
  EXPECT_EQ(Chat("first " + Words(17) + "\nsecond " + Words(5) + "\nlast\n"), 0);
  EXPECT_THAT(err_.str(), HasSubstr("forgot the oldest 1 question and its answer\n"));
  EXPECT_THAT(Asked(), ElementsAre(Pair("user", "second " + Words(5)), Pair("assistant", "second " + Words(5)),
                                   Pair("user", "last")));
}

TEST_F(ChatCommandTest, AQuestionThatIsTooLongByItselfForgetsNothing) {
  EXPECT_EQ(Chat("a\n" + Words(41) + "\nb\n", {.generation = {.model = "echo"}}, /*is_terminal=*/true), 0);
  EXPECT_THAT(err_.str(), HasSubstr("INVALID_ARGUMENT: predict.generation.prompt: expected 1 to 40 tokens"));
  EXPECT_THAT(err_.str(), ::testing::Not(HasSubstr("forgot")));
  EXPECT_THAT(Asked(), ElementsAre(Pair("user", "a"), Pair("assistant", "a"), Pair("user", "b")));
}

TEST_F(ChatCommandTest, JsonHasNoTraceOfAttemptsThatDidNotFit) {
  common_.json = true;
  EXPECT_EQ(Chat(Words(18) + "\n" + Words(6) + "\n"), 0);
  std::istringstream lines(out_.str());
  int ends = 0;
  for (std::string line; std::getline(lines, line);) {
    if (absl::StartsWith(line, "{\"end\"")) {
      ++ends;
      EXPECT_THAT(line, HasSubstr("\"OK\""));
    }
  }
  EXPECT_EQ(ends, 2);
  EXPECT_THAT(err_.str(), HasSubstr("forgot"));
}

TEST_F(ChatCommandTest, LinesThatAreTooLongAreLocalErrors) {
  common_.max_message_bytes = 10;
  EXPECT_EQ(Chat("12345678901\n"), 2);
  EXPECT_EQ(err_.str(), "predictctl: this line is longer than 10 bytes (--max-message-bytes)\n");
}

TEST_F(ChatCommandTest, LinesThatCannotBeSentAreLocalErrors) {
  EXPECT_EQ(Chat("/rest\na\n"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("no command '/rest'; /help lists them"));
  EXPECT_EQ(Chat("\xff\na\n"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("this line is not UTF-8"));
  EXPECT_EQ(out_.str(), "");
}

}  // namespace
}  // namespace predictd
