#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "client/predictctl/control_command.h"
#include "client/predictctl/models_command.h"
#include "client/predictctl/split_command.h"
#include "client/predictctl/watch_command.h"
#include "tests/client/flush_watcher.h"
#include "tests/client/in_process_server.h"

namespace predictd {
namespace {

using ::testing::HasSubstr;
using Change = ControlArguments::Change;

class ControlCommandsTest : public ::testing::Test {
 protected:
  CommandContext Context() {
    return {.client = *client_, .arguments = common_, .control = control_, .out = out_, .err = err_};
  }

  nlohmann::json Document() { return nlohmann::json::parse(out_.str()); }

  TestServer server_;
  const std::unique_ptr<Client> client_ = *Client::Create({.address = server_.address()});
  const std::shared_ptr<CallControl> control_ = std::make_shared<CallControl>();
  CommonArguments common_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(ControlCommandsTest, ChangesPrintTheModelInALine) {
  EXPECT_EQ(RunControl(Context(), {Change::kLoad, "double"}), 0);
  EXPECT_EQ(RunControl(Context(), {Change::kReload, "double"}), 0);
  EXPECT_EQ(RunControl(Context(), {Change::kUnload, "double"}), 0);
  EXPECT_EQ(out_.str(),
            "double  3 ready, 2 failed\n"
            "  2 failed: cannot be loaded\n"
            "double  4 ready, 3 ready\n"
            "double  not loaded\n");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(ControlCommandsTest, ChangesPrintJson) {
  common_.json = true;
  EXPECT_EQ(RunControl(Context(), {Change::kReload, "double"}), 0);
  EXPECT_EQ(Document()["response"]["versions"][0]["version"], "4");
  EXPECT_TRUE(Document()["timings"].contains("round_trip_ms"));
}

TEST_F(ControlCommandsTest, AServerThatLetsNothingBeChangedIsExplained) {
  const std::string expected =
      "predictctl: PERMISSION_DENIED: nothing may be changed here\n"
      "  hint: use the address of the --control-listen of predictd (--address), or start it with --model-control "
      "explicit\n";
  EXPECT_EQ(RunControl(Context(), {Change::kLoad, "locked"}), 17);
  EXPECT_EQ(err_.str(), expected);
  err_.str("");
  EXPECT_EQ(RunSplit(Context(), {.model = "locked", .reset = true}), 17);
  EXPECT_EQ(err_.str(), expected);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ControlCommandsTest, ALoadThatIsLeftGoesOn) {
  common_.deadline = absl::Milliseconds(100);
  EXPECT_EQ(RunControl(Context(), {Change::kLoad, "waits"}), 14);
  EXPECT_THAT(err_.str(), HasSubstr("the server goes on: predictctl models --watch waits shows how far it is\n"));
}

TEST_F(ControlCommandsTest, InterruptLeavesALoad) {
  std::thread interrupt([this] {
    server_.waiting().WaitForNotification();
    control_->Cancel();
  });
  EXPECT_EQ(RunControl(Context(), {Change::kReload, "waits"}), 130);
  interrupt.join();
  EXPECT_EQ(err_.str(),
            "predictctl: interrupted, the call was cancelled\n"
            "  the server goes on: predictctl models --watch waits shows how far it is\n");
}

TEST_F(ControlCommandsTest, SplitShowsWhatHolds) {
  EXPECT_EQ(RunSplit(Context(), {.model = "split"}), 0);
  EXPECT_EQ(RunSplit(Context(), {.model = "double"}), 0);
  EXPECT_EQ(out_.str(),
            "split: requests that name no version\n"
            "  VERSION  WEIGHT  PART\n"
            "  3        90      90%\n"
            "  2        10      10%\n"
            "double: requests that name no version\n"
            "  all go to the newest version that is ready\n");
}

TEST_F(ControlCommandsTest, SplitSaysHowToGoBack) {
  SplitArguments arguments{.model = "split"};
  v1::TrafficShare& share = *arguments.traffic.add_shares();
  share.set_version("canary");
  share.set_weight(3);
  EXPECT_EQ(RunSplit(Context(), arguments), 0);
  arguments.model = "double";
  EXPECT_EQ(RunSplit(Context(), arguments), 0);
  EXPECT_EQ(RunSplit(Context(), {.model = "split", .reset = true}), 0);
  EXPECT_EQ(out_.str(),
            "split: requests that name no version\n"
            "  VERSION  WEIGHT  PART\n"
            "  canary   3       100%\n"
            "to go back: predictctl split split 3=90 2=10\n"
            "double: requests that name no version\n"
            "  VERSION  WEIGHT  PART\n"
            "  canary   3       100%\n"
            "to go back: predictctl split double --reset\n"
            "split: requests that name no version\n"
            "  all go to the newest version that is ready\n"
            "to go back: predictctl split split 3=90 2=10\n");
}

TEST_F(ControlCommandsTest, SplitPrintsTheSameJsonWhetherItChangesOrShows) {
  common_.json = true;
  EXPECT_EQ(RunSplit(Context(), {.model = "split"}), 0);
  EXPECT_EQ(Document()["response"]["model"]["traffic"]["shares"][0]["weight"], "90");
  EXPECT_FALSE(Document()["response"].contains("previous"));
  out_.str("");
  EXPECT_EQ(RunSplit(Context(), {.model = "split", .reset = true}), 0);
  EXPECT_FALSE(Document()["response"]["model"].contains("traffic"));
  EXPECT_EQ(Document()["response"]["previous"]["shares"][0]["weight"], "90");
}

TEST_F(ControlCommandsTest, ASplitIsAmongTheDetails) {
  EXPECT_EQ(RunModels(Context(), {.name = "split"}), 0);
  EXPECT_THAT(out_.str(),
              HasSubstr("requests that name no version\n  VERSION  WEIGHT  PART\n  3        90      90%\n"));
}

TEST_F(ControlCommandsTest, WatchPrintsALineForEachChangeAndEndsWithTheServer) {
  EXPECT_EQ(RunWatch(Context(), {}), 24);
  EXPECT_EQ(out_.str(),
            "double  3 ready, 2 failed\n"
            "  2 failed: cannot be loaded\n"
            "echo  1 ready\n"
            "double  4 loading, 3 ready\n"
            "echo  removed\n");
  EXPECT_EQ(err_.str(),
            "predictctl: UNAVAILABLE: the server is shutting down\n"
            "  hint: the server has gone; the watch does not go on by itself\n");
}

TEST_F(ControlCommandsTest, WatchOfWhatIsNotThereSaysSo) {
  EXPECT_EQ(RunWatch(Context(), {.name = "unknown"}), 24);
  EXPECT_EQ(out_.str(), "");
  EXPECT_THAT(err_.str(), ::testing::StartsWith("predictctl: there is nothing to watch yet\n"));
}

TEST_F(ControlCommandsTest, WatchPrintsTheSplit) {
  EXPECT_EQ(RunWatch(Context(), {.name = "split"}), 24);
  EXPECT_THAT(out_.str(), ::testing::StartsWith("split  3 ready, 2 failed  3=90 2=10\n"));
}

TEST_F(ControlCommandsTest, WatchPrintsJsonLines) {
  common_.json = true;
  EXPECT_EQ(RunWatch(Context(), {.name = "double"}), 24);
  std::istringstream lines(out_.str());
  std::vector<nlohmann::json> parsed;
  for (std::string line; std::getline(lines, line);) parsed.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(parsed.size(), 3);
  EXPECT_EQ(parsed[0]["model"]["name"], "double");
  EXPECT_EQ(parsed[1]["started"]["models"], "1");
  EXPECT_EQ(parsed[2]["end"]["code"], "UNAVAILABLE");
}

TEST_F(ControlCommandsTest, InterruptEndsAWatchAfterWhatCame) {
  FlushWatcher printed(/*flushes=*/2);
  std::ostream out(&printed);
  const CommandContext context{.client = *client_, .arguments = common_, .control = control_, .out = out, .err = err_};
  std::thread interrupt([&] {
    printed.flushed().WaitForNotification();
    control_->Cancel();
  });
  EXPECT_EQ(RunWatch(context, {.name = "waits"}), 130);
  interrupt.join();
  EXPECT_EQ(printed.str(), "waits  3 ready, 2 failed\n  2 failed: cannot be loaded\n");
  EXPECT_EQ(err_.str(), "predictctl: interrupted, the call was cancelled\n");
  EXPECT_TRUE(server_.cancelled().WaitForNotificationWithTimeout(absl::Seconds(10)));
}

}  // namespace
}  // namespace predictd
