#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "client/predictctl/command_context.h"
#include "client/predictctl/generate_command.h"
#include "client/predictctl/inputs.h"
#include "client/predictctl/models_command.h"
#include "client/predictctl/npy.h"
#include "client/predictctl/predict_command.h"
#include "client/predictctl/stream_command.h"
#include "client/predictctl/stream_printer.h"
#include "client/tensor_builder.h"
#include "tests/client/flush_watcher.h"
#include "tests/client/in_process_server.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Runs commands as main does, with strings in place of the terminal.
class CommandsTest : public ::testing::Test {
 protected:
  CommandContext Context() {
    return {.client = *client_, .arguments = common_, .control = control_, .out = out_, .err = err_};
  }

  std::vector<Input> Inputs(const std::string& spec) { return *ReadInputs({spec}, {}, stdin_); }

  int Predict(const PredictArguments& arguments, const std::string& spec = "[[1, 2], [3, -4]]") {
    return RunPredict(Context(), arguments, Inputs(spec));
  }

  int Stream(const StreamArguments& arguments, const std::string& spec = "[[1, 2], [3, -4], [5, 6]]") {
    return RunStream(Context(), arguments, Inputs(spec));
  }

  // What was printed, without the time that the call took.
  std::string Printed() { return std::regex_replace(out_.str(), std::regex("round trip .* ms"), "round trip T"); }

  std::vector<nlohmann::json> PrintedLines() {
    std::istringstream lines(out_.str());
    std::vector<nlohmann::json> parsed;
    for (std::string line; std::getline(lines, line);) parsed.push_back(nlohmann::json::parse(line));
    return parsed;
  }

  TestServer server_;
  const std::unique_ptr<Client> client_ = *Client::Create({.address = server_.address()});
  const std::shared_ptr<CallControl> control_ = std::make_shared<CallControl>();
  CommonArguments common_;
  std::istringstream stdin_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandsTest, ModelsPrintsATable) {
  EXPECT_EQ(RunModels(Context(), {}), 0);
  EXPECT_EQ(Printed(),
            "NAME    KIND       VERSIONS           INPUTS        OUTPUTS\n"
            "double  tensor     3 ready, 2 failed  x FP32[-1,2]  y FP32[-1,2]\n"
            "echo    generator  1 ready            prompt, chat  text\n"
            "\n"
            "double 2 failed: cannot be loaded\n");
}

TEST_F(CommandsTest, ModelsPrintsOneInDetail) {
  EXPECT_EQ(RunModels(Context(), {.name = "double"}), 0);
  EXPECT_EQ(Printed(),
            "double: Doubles its input.\n"
            "tensor model, batched: the first dimension counts rows, at most 4 in a request\n"
            "versions\n"
            "  VERSION  STATE   BACKEND\n"
            "  3        ready   torchscript\n"
            "  2        failed  aotinductor\n"
            "  2 failed: cannot be loaded\n"
            "inputs\n"
            "  NAME  TYPE\n"
            "  x     FP32[-1,2]\n"
            "outputs\n"
            "  NAME  TYPE\n"
            "  y     FP32[-1,2]\n");
}

TEST_F(CommandsTest, ModelsPrintsAGeneratorInDetail) {
  EXPECT_EQ(RunModels(Context(), {.name = "echo"}), 0);
  EXPECT_EQ(Printed(),
            "echo: Repeats what it hears.\n"
            "generator model\n"
            "takes a prompt or a chat\n"
            "at most 2048 tokens of prompt and answer together\n"
            "at most 16 answers at the same time\n"
            "vocabulary of 49152 tokens\n"
            "versions\n"
            "  VERSION  STATE  BACKEND\n"
            "  1        ready  torchscript\n");
}

TEST_F(CommandsTest, ModelsPrintsJson) {
  common_.json = true;
  EXPECT_EQ(RunModels(Context(), {}), 0);
  const nlohmann::json document = nlohmann::json::parse(out_.str());
  EXPECT_EQ(document["response"]["models"][0]["max_batch_size"], "4");
  EXPECT_TRUE(document["timings"].contains("round_trip_ms"));
}

TEST_F(CommandsTest, GeneratorsAreToldFromModelsOfTensors) {
  EXPECT_EQ(Predict({.model = "echo"}), 19);
  EXPECT_EQ(err_.str(),
            "predictctl: FAILED_PRECONDITION: model 'echo' generates text: it has no inputs and outputs\n"
            "  hint: it is a generator: predictctl generate echo PROMPT, or predictctl chat echo\n");
  err_.str("");
  EXPECT_EQ(RunGenerate(Context(), {.generation = {.model = "double"}}, "text"), 19);
  EXPECT_THAT(err_.str(), HasSubstr("  hint: it takes tensors: predictctl predict double --input NAME=...\n"));
}

TEST_F(CommandsTest, LongVectorsAreCutUnlessAllIsAskedFor) {
  std::string values = "[";
  for (int i = 0; i < 300; ++i) absl::StrAppend(&values, i == 0 ? "" : ", ", "[1, ", i, "]");
  values += "]";
  EXPECT_EQ(Predict({.model = "double"}, values), 0);
  EXPECT_THAT(out_.str(), HasSubstr("y FP32[300,2], of which --full prints all\n[[  2,   0],\n"));
  EXPECT_THAT(out_.str(), HasSubstr("\n ...,\n"));
  out_.str("");
  EXPECT_EQ(Predict({.model = "double", .full = true}, values), 0);
  EXPECT_THAT(out_.str(), HasSubstr("y FP32[300,2]\n[[  2,   0],\n"));
  EXPECT_EQ(out_.str().find("..."), std::string::npos);
}

TEST_F(CommandsTest, AnErrorIsNotSaidTwiceOnATerminal) {
  common_.json = true;
  CommandContext terminal{
      .client = *client_, .arguments = common_, .control = control_, .out = out_, .err = err_, .out_is_terminal = true};
  EXPECT_EQ(RunPredict(terminal, {.model = "busy"}, Inputs("[[1, 2]]")), 18);
  EXPECT_THAT(out_.str(), HasSubstr("the queue is full"));
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CommandsTest, UnknownModelHasItsExitStatus) {
  EXPECT_EQ(RunModels(Context(), {.name = "unknown"}), 15);
  EXPECT_EQ(err_.str(), "predictctl: NOT_FOUND: no model 'unknown', only 'double'\n");
  EXPECT_EQ(Predict({.model = "unknown"}), 15);
}

TEST_F(CommandsTest, PredictPrintsOutputsAndTimings) {
  EXPECT_EQ(Predict({.model = "double", .request_id = "r1", .argmax = true}), 0);
  EXPECT_EQ(Printed(),
            "double version 3, request r1\n"
            "y FP32[2,2]\n"
            "[[ 2,  4] -> 1,\n"
            " [ 6, -8] -> 0]\n"
            "queue 0.50 ms, forward 1.25 ms, total 2.00 ms, batch 8, round trip T\n");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CommandsTest, PredictPrintsJson) {
  common_.json = true;
  EXPECT_EQ(Predict({.model = "double", .encoding = Encoding::kTyped, .argmax = true}), 0);
  const nlohmann::json document = nlohmann::json::parse(out_.str());
  EXPECT_EQ(document["response"]["outputs"][0]["float_values"], (std::vector<float>{2, 4, 6, -8}));
  EXPECT_EQ(document["argmax"]["y"], (std::vector<int>{1, 0}));
  EXPECT_EQ(document["timings"]["forward_ms"], 1.25);
  EXPECT_EQ(document["timings"]["batch"], "8");
}

TEST_F(CommandsTest, PredictSavesItsOutput) {
  const std::string path = ::testing::TempDir() + "predictctl_saved.npy";
  EXPECT_EQ(Predict({.model = "double", .rows = RowRange{1, 2}, .files = {{"y", path}}}), 0);
  const std::vector<Input> saved = *ReadInputs({"@" + path}, {}, stdin_);
  EXPECT_THAT(*TensorValues<float>(std::get<v1::Tensor>(saved[0].value)), ElementsAre(6, -8));
  EXPECT_EQ(Predict({.model = "double", .files = {{"z", path}}}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("no output 'z'"));
}

TEST_F(CommandsTest, PredictPrintsEveryDetailOfAnError) {
  EXPECT_EQ(Predict({.model = "busy"}), 18);
  EXPECT_EQ(err_.str(),
            "predictctl: RESOURCE_EXHAUSTED: the queue is full\n"
            "  inputs[0].shape[1]: expected 2, got 3\n"
            "  try again in 250ms\n");
  EXPECT_EQ(out_.str(), "");
}

TEST_F(CommandsTest, PredictPrintsErrorsAsJsonToo) {
  common_.json = true;
  EXPECT_EQ(Predict({.model = "busy"}), 18);
  const nlohmann::json document = nlohmann::json::parse(out_.str());
  EXPECT_EQ(document["error"]["code"], "RESOURCE_EXHAUSTED");
  EXPECT_EQ(document["error"]["field_violations"][0]["field"], "inputs[0].shape[1]");
  EXPECT_EQ(document["error"]["retry_after_ms"], 250);
}

TEST_F(CommandsTest, InputsThatDoNotSuitAreLocalErrors) {
  EXPECT_EQ(Predict({.model = "double"}, "[[1, true]]"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("input 'x': at [0][1]: expected a number"));
}

TEST_F(CommandsTest, DeadlineIsThatOfTheMainCall) {
  common_.deadline = absl::Milliseconds(100);
  EXPECT_EQ(Predict({.model = "waits"}), 14);
  EXPECT_THAT(err_.str(), HasSubstr("DEADLINE_EXCEEDED"));
}

TEST_F(CommandsTest, InterruptCancelsAPredict) {
  std::thread interrupt([this] {
    server_.waiting().WaitForNotification();
    control_->Cancel();
  });
  EXPECT_EQ(Predict({.model = "waits"}), 130);
  interrupt.join();
  EXPECT_EQ(err_.str(), "predictctl: interrupted, the call was cancelled\n");
}

TEST_F(CommandsTest, StreamPrintsResultsAsTheyCome) {
  EXPECT_EQ(Stream({.predict = {.model = "double", .argmax = true}, .chunk_rows = 2}), 0);
  EXPECT_EQ(Printed(),
            "double version 3: 3 rows in 2 results\n"
            "rows 0:2\n"
            "y FP32[2,2]\n"
            "[[ 2,  4] -> 1,\n"
            " [ 6, -8] -> 0]\n"
            "rows 2:3\n"
            "y FP32[1,2]\n"
            "[[10, 12] -> 1]\n"
            "3 of 3 rows answered\n"
            "queue 0.50 ms, forward 1.25 ms, total 2.00 ms, batch 8, round trip T\n");
}

TEST_F(CommandsTest, StreamReportsRowsThatFailed) {
  EXPECT_EQ(Stream({.predict = {.model = "double"}, .chunk_rows = 1, .per_item_errors = true}), 3);
  EXPECT_THAT(Printed(), HasSubstr("rows 1:2 failed: INTERNAL: negative\n"));
  EXPECT_THAT(Printed(), HasSubstr("2 of 3 rows answered, 1 failed\n"));
}

TEST_F(CommandsTest, StreamPrintsJsonLines) {
  common_.json = true;
  const PredictArguments predict{.model = "double", .encoding = Encoding::kTyped, .argmax = true};
  EXPECT_EQ(Stream({.predict = predict, .chunk_rows = 2, .per_item_errors = true}), 3);
  const std::vector<nlohmann::json> lines = PrintedLines();
  ASSERT_EQ(lines.size(), 5);
  EXPECT_EQ(lines[0]["start"]["total_rows"], "3");
  EXPECT_EQ(lines[1]["rows"]["error"]["message"], "negative");
  EXPECT_FALSE(lines[1].contains("argmax"));
  EXPECT_EQ(lines[2]["rows"]["first_row"], "2");
  EXPECT_EQ(lines[2]["argmax"]["y"], (std::vector<int>{1}));
  EXPECT_EQ(lines[3]["summary"]["rows_failed"], "2");
  EXPECT_EQ(lines[4]["end"]["code"], "OK");
  EXPECT_EQ(lines[4]["end"]["timings"]["queue_ms"], 0.5);
}

TEST_F(CommandsTest, StreamSavesTheRowsInOrder) {
  const std::string path = ::testing::TempDir() + "predictctl_streamed.npy";
  EXPECT_EQ(Stream({.predict = {.model = "double", .files = {{"", path}}}, .chunk_rows = 1, .unordered = true}), 0);
  EXPECT_LT(Printed().find("rows 2:3"), Printed().find("rows 0:1"));
  const std::vector<Input> saved = *ReadInputs({"@" + path}, {}, stdin_);
  EXPECT_THAT(*TensorValues<float>(std::get<v1::Tensor>(saved[0].value)), ElementsAre(2, 4, 6, -8, 10, 12));
}

TEST_F(CommandsTest, StreamCutsWhatIsLargerThanTheServerTakes) {
  // A row has 8 bytes, and the model takes 1100.
  std::string values = "[";
  for (int i = 0; i < 400; ++i) absl::StrAppend(&values, i == 0 ? "" : ", ", "[", i, ", 1]");
  values += "]";
  const std::string path = ::testing::TempDir() + "predictctl_cut.npy";
  EXPECT_EQ(Stream({.predict = {.model = "small", .request_id = "r", .files = {{"", path}}}, .chunk_rows = 4}, values),
            0);
  EXPECT_THAT(Printed(),
              ::testing::StartsWith("small version 3, request r: 400 rows, in several requests\nrows 0:4\n"));
  EXPECT_THAT(Printed(), ::testing::EndsWith("\n400 of 400 rows answered\nround trip T\n"));
  EXPECT_THAT(Printed(), HasSubstr("\nrows 396:400\n"));
  EXPECT_EQ(server_.streams(), 4);
  EXPECT_EQ(server_.last_stream().predict().model_version(), 3) << "all parts are for the version of the first one";
  const std::vector<Input> saved = *ReadInputs({"@" + path}, {}, stdin_);
  const std::vector<float> all = *TensorValues<float>(std::get<v1::Tensor>(saved[0].value));
  ASSERT_EQ(all.size(), 800);
  for (std::size_t i = 0; i < 400; ++i) EXPECT_EQ(all[2 * i], 2 * i);
}

TEST_F(CommandsTest, StreamCutsWhatIsLargerThanWeMaySend) {
  common_.json = true;
  common_.max_message_bytes = 1000;
  const PredictArguments predict{.model = "double", .encoding = Encoding::kTyped};
  std::string values = "[";
  for (int i = 0; i < 400; ++i) absl::StrAppend(&values, i == 0 ? "" : ", ", "[1, ", i % 100 == 99 ? -1 : 1, "]");
  values += "]";
  EXPECT_EQ(Stream({.predict = predict, .chunk_rows = 1, .per_item_errors = true}, values), 3);
  const std::vector<nlohmann::json> lines = PrintedLines();
  ASSERT_EQ(lines.size(), 403);
  EXPECT_EQ(lines[0]["start"]["total_rows"], "400");
  EXPECT_FALSE(lines[0]["start"].contains("total_chunks"));
  for (int i = 1; i < 400; ++i) EXPECT_EQ(lines[i + 1]["rows"]["first_row"], std::to_string(i));
  EXPECT_EQ(lines[401]["summary"]["rows_ok"], "396");
  EXPECT_EQ(lines[401]["summary"]["rows_failed"], "4");
  EXPECT_EQ(lines[402]["end"]["code"], "OK");
}

TEST_F(CommandsTest, StreamDoesNotSaveAPart) {
  const PredictArguments predict{.model = "double", .files = {{"", ::testing::TempDir() + "predictctl_part.npy"}}};
  EXPECT_EQ(Stream({.predict = predict, .chunk_rows = 1, .per_item_errors = true}), 2);
  EXPECT_THAT(err_.str(), HasSubstr("nothing was saved: outputs came for 2 of 3 rows"));
}

TEST_F(CommandsTest, RowsThatWereNotAskedForAreRefused) {
  const std::pair<std::int64_t, std::int64_t> kWrong[] = {
      {0, -1},
      {-1, 1},
      {0, std::numeric_limits<std::int64_t>::max()},
      {std::numeric_limits<std::int64_t>::max(), 1},
      {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()},
      {3, 1},
  };
  StreamArguments arguments;
  for (const auto& [first_row, row_count] : kWrong) {
    const CommandContext context = Context();
    StreamPrinter printer(context, arguments);
    printer.OnPart({});
    v1::PredictStreamResponse event;
    event.mutable_start()->set_total_rows(3);
    ASSERT_TRUE(printer.OnEvent(event).ok());
    event.mutable_rows()->set_first_row(first_row);
    event.mutable_rows()->set_row_count(row_count);
    const absl::Status status = printer.OnEvent(event);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << first_row << " " << row_count;
    EXPECT_THAT(std::string(status.message()), HasSubstr("the answer is malformed"));
  }
}

TEST_F(CommandsTest, InterruptCancelsAStreamAfterWhatCame) {
  FlushWatcher printed(/*flushes=*/2);  // One for the start, one for the first rows.
  std::ostream out(&printed);
  const CommandContext context{.client = *client_, .arguments = common_, .control = control_, .out = out, .err = err_};
  std::thread interrupt([&] {
    printed.flushed().WaitForNotification();
    control_->Cancel();
  });
  const StreamArguments arguments{.predict = {.model = "waits"}, .chunk_rows = 1};
  EXPECT_EQ(RunStream(context, arguments, Inputs("[[1, 2], [3, 4]]")), 130);
  interrupt.join();
  EXPECT_THAT(printed.str(), HasSubstr("waits version 3: 2 rows in 2 results\nrows 0:1\n"));
  EXPECT_THAT(printed.str(), HasSubstr("\n1 of 2 rows answered\n"));
  EXPECT_EQ(err_.str(), "predictctl: interrupted, the call was cancelled\n");
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

TEST_F(CommandsTest, ProgressIsShownOnATerminalOnly) {
  CommandContext context = Context();
  EXPECT_EQ(RunStream(context, {.predict = {.model = "double"}}, Inputs("[[1, 2]]")), 0);
  EXPECT_EQ(err_.str(), "");
  const CommandContext terminal{
      .client = *client_, .arguments = common_, .control = control_, .out = out_, .err = err_, .err_is_terminal = true};
  EXPECT_EQ(RunStream(terminal, {.predict = {.model = "double"}}, Inputs("[[1, 2]]")), 0);
  EXPECT_THAT(err_.str(), HasSubstr("0/1 rows, 0%"));
}

}  // namespace
}  // namespace predictd
