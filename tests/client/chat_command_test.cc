#include "client/predictctl/chat_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "tests/client/flush_watcher.h"
#include "tests/client/test_server.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;

// Runs a chat as main does, with strings for the terminal.
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

  // Roles and contents of the last question's conversation.
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
  interrupts_.Aim(control_);
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
  EXPECT_THAT(err_.str(), StartsWith("echo: Repeats what it hears.\nCtrl-C stops an answer"));
  EXPECT_THAT(err_.str(), HasSubstr("> /reset "));
  EXPECT_THAT(err_.str(), ::testing::EndsWith("finished: stop\n> \n"));
}

TEST_F(ChatCommandTest, AnUnknownModelIsToldBeforeAnythingIsTyped) {
  EXPECT_EQ(Chat("a\n", {.generation = {.model = "unknown"}}, /*is_terminal=*/true), 15);
  EXPECT_EQ(err_.str(), "predictctl: NOT_FOUND: no model 'unknown', only 'double'\n");
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
