#include "client/predictctl/generation_arguments.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "client/predictctl/command_line.h"
#include "client/predictctl/generation_request.h"

namespace predictd {
namespace {

using ::testing::HasSubstr;

std::string TextOf(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  return text;
}

class GenerationArgumentsTest : public ::testing::Test {
 protected:
  ParsedCommandLine Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "predictctl");
    return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data(), out_, err_);
  }

  template <typename Arguments>
  Arguments Command(const std::vector<const char*>& arguments) {
    return std::get<Arguments>(std::get<CommandLine>(Parse(arguments)).command);
  }

  void ExpectRefused(const std::vector<const char*>& arguments, const std::string& message) {
    err_.str("");
    const ParsedCommandLine parsed = Parse(arguments);
    ASSERT_TRUE(std::holds_alternative<int>(parsed)) << message;
    EXPECT_EQ(std::get<int>(parsed), 2);
    EXPECT_THAT(err_.str(), HasSubstr(message));
  }

  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(GenerationArgumentsTest, RequestHoldsNothingThatWasNotGiven) {
  const auto arguments = Command<GenerateArguments>({"generate", "m"});
  EXPECT_EQ(TextOf(GenerationRequestOf(arguments.generation)),
            "predict {\n"
            "  model_name: \"m\"\n"
            "  generation {\n"
            "  }\n"
            "}\n");
}

TEST_F(GenerationArgumentsTest, RequestHoldsEverythingThatWasGiven) {
  const std::vector<const char*> options = {"--max-tokens",
                                            "50",
                                            "--temperature",
                                            "0",
                                            "--top-k",
                                            "40",
                                            "--top-p",
                                            "0.9",
                                            "--min-p",
                                            "0.1",
                                            "--presence-penalty",
                                            "-2",
                                            "--frequency-penalty",
                                            "1e-1",
                                            "--seed",
                                            "18446744073709551615",
                                            "--stop",
                                            "[a,b]",
                                            "--stop",
                                            "\n",
                                            "--logprobs",
                                            "0",
                                            "--n",
                                            "3",
                                            "--ignore-end",
                                            "--repetition-penalty",
                                            "1.2",
                                            "--version",
                                            "2",
                                            "--request-id",
                                            "r"};
  const std::string expected =
      "predict {\n"
      "  model_name: \"m\"\n"
      "  model_version: 2\n"
      "  request_id: \"r\"\n"
      "  generation {\n"
      "    max_tokens: 50\n"
      "    temperature: 0\n"
      "    top_k: 40\n"
      "    top_p: 0.9\n"
      "    min_p: 0.1\n"
      "    repetition_penalty: 1.2\n"
      "    presence_penalty: -2\n"
      "    frequency_penalty: 0.1\n"
      "    seed: 18446744073709551615\n"
      "    stop: \"[a,b]\"\n"
      "    stop: \"\\n\"\n"
      "    ignore_end: true\n"
      "    n: 3\n"
      "    logprobs: 0\n"
      "  }\n"
      "}\n";
  std::vector<const char*> generate = {"generate", "m"};
  generate.insert(generate.end(), options.begin(), options.end());
  EXPECT_EQ(TextOf(GenerationRequestOf(Command<GenerateArguments>(generate).generation)), expected);
  std::vector<const char*> chat = {"chat", "m"};
  chat.insert(chat.end(), options.begin(), options.end());
  EXPECT_EQ(TextOf(GenerationRequestOf(Command<ChatArguments>(chat).generation)), expected);
}

TEST_F(GenerationArgumentsTest, PromptIsTakenAsItStands) {
  EXPECT_EQ(Command<GenerateArguments>({"generate", "m"}).prompt, std::nullopt);
  EXPECT_EQ(Command<GenerateArguments>({"generate", "m", "-"}).prompt, "-");
  EXPECT_EQ(Command<GenerateArguments>({"generate", "m", ""}).prompt, "");
  EXPECT_EQ(Command<GenerateArguments>({"generate", "m", "[a, b]", "--n", "2"}).prompt, "[a, b]");
  EXPECT_EQ(Command<GenerateArguments>({"generate", "m", "--", "--n"}).prompt, "--n");
  ExpectRefused({"generate", "m", "two", "words"}, "words");
}

TEST_F(GenerationArgumentsTest, SystemMessageMayBeEmpty) {
  EXPECT_EQ(Command<ChatArguments>({"chat", "m"}).generation.system, std::nullopt);
  EXPECT_EQ(Command<ChatArguments>({"chat", "m", "--system", ""}).generation.system, "");
  EXPECT_EQ(Command<GenerateArguments>({"generate", "m", "p", "--system", "Be brief."}).generation.system, "Be brief.");
  EXPECT_TRUE(Command<GenerateArguments>({"generate", "m", "p", "--chat"}).chat);
}

TEST_F(GenerationArgumentsTest, TextMayTakeLongerThanOtherAnswers) {
  const auto deadline = [this](const std::vector<const char*>& arguments) {
    return std::get<CommandLine>(Parse(arguments)).common.deadline;
  };
  for (const char* command : {"generate", "chat"}) {
    EXPECT_EQ(deadline({command, "m"}), absl::Minutes(10));
    EXPECT_EQ(deadline({command, "m", "--deadline", "30s"}), absl::Seconds(30));
    EXPECT_EQ(deadline({command, "m", "--deadline", "0"}), absl::InfiniteDuration());
  }
}

TEST_F(GenerationArgumentsTest, WrongUsageIsNamed) {
  ExpectRefused({"generate"}, "MODEL");
  ExpectRefused({"chat", "m", "hello"}, "hello");
  ExpectRefused({"chat", "m", "--chat"}, "--chat");
  ExpectRefused({"generate", "m", "--temperature", "hot"}, "--temperature");
  ExpectRefused({"generate", "m", "--seed", "-1"}, "--seed");
  ExpectRefused({"generate", "m", "--seed", "18446744073709551616"}, "--seed");
  ExpectRefused({"generate", "m", "--n", "5000000000"}, "--n");
  ExpectRefused({"generate", "m", "--version", "-1"}, "--version");
  ExpectRefused({"generate", "m", "--input", "1"}, "--input");
}

}  // namespace
}  // namespace predictd
