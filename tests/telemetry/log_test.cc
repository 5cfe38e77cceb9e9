#include "server/telemetry/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/telemetry/captured_stderr.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;

// More than fits the queue (8192) and the pipe in front of it (64 KiB) together.
constexpr int kMoreThanFits = 20000;

std::vector<nlohmann::json> ParseLines(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST(LogTest, WritesFromTheCallersThreadBeforeInitialisation) {
  CapturedStderr captured;
  Log(LogLevel::kError, "early", {{"code", 7}});
  EXPECT_THAT(captured.ReadAvailable(), HasSubstr(" ERROR early code=7\n"));
}

TEST(LogTest, ShutdownWritesEverythingInOrder) {
  CapturedStderr captured;
  InitLogging({.format = LogFormat::kJson});
  for (int i = 0; i < 500; ++i) Log(LogLevel::kInfo, "record", {{"i", i}});
  ShutdownLogging();
  const std::vector<nlohmann::json> lines = ParseLines(captured.Finish());
  ASSERT_EQ(lines.size(), 500U);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(lines[i]["i"], i);
}

TEST(LogTest, RecordsBelowTheLevelAreNotWritten) {
  CapturedStderr captured;
  InitLogging({.level = LogLevel::kWarning});
  EXPECT_FALSE(LogEnabled(LogLevel::kDebug));
  EXPECT_FALSE(LogEnabled(LogLevel::kInfo));
  EXPECT_TRUE(LogEnabled(LogLevel::kWarning));
  Log(LogLevel::kInfo, "hidden");
  Log(LogLevel::kWarning, "shown");
  ShutdownLogging();
  const std::string text = captured.Finish();
  EXPECT_THAT(text, HasSubstr("WARN  shown\n"));
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  InitLogging({});
  ShutdownLogging();
}

TEST(LogTest, AStderrThatNobodyReadsNeitherBlocksNorHangsTheShutdown) {
  CapturedStderr captured;
  InitLogging({.format = LogFormat::kJson});
  const uint64_t dropped_before = DroppedLogRecords();
  const steady_clock::time_point start = steady_clock::now();
  steady_clock::duration slowest{};
  for (int i = 0; i < kMoreThanFits; ++i) {
    const steady_clock::time_point before = steady_clock::now();
    Log(LogLevel::kInfo, "nobody reads this", {{"i", i}});
    slowest = std::max(slowest, steady_clock::now() - before);
  }
  EXPECT_LT(slowest, std::chrono::seconds(1));
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(10));
  const uint64_t overrun = DroppedLogRecords() - dropped_before;
  EXPECT_GT(overrun, 10000U);
  EXPECT_LT(overrun, uint64_t{kMoreThanFits});

  const steady_clock::time_point stop = steady_clock::now();
  ShutdownLogging(absl::Milliseconds(200));
  EXPECT_LT(steady_clock::now() - stop, std::chrono::seconds(3));
  // What was queued is lost as well; only what the pipe holds was written.
  EXPECT_GT(DroppedLogRecords() - dropped_before, overrun + 8000);
}

// What comes out of the pipe while the logging ends.
std::string ReadWhileShuttingDown(CapturedStderr& captured) {
  std::string text;
  std::jthread reader([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      text += captured.ReadAvailable();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  ShutdownLogging(absl::Seconds(20));
  reader.request_stop();
  reader.join();
  return text + captured.Finish();
}

TEST(LogTest, ErrorsSurviveAFloodOfInfosOnAStderrThatIsReadLate) {
  CapturedStderr captured;
  InitLogging({.format = LogFormat::kJson});
  const uint64_t errors_before = DroppedLogRecords(LogDrop::kQueueFull, LogLevel::kError);
  const uint64_t infos_before = DroppedLogRecords(LogDrop::kQueueFull, LogLevel::kInfo);
  for (int i = 0; i < kMoreThanFits; ++i) {
    if (i % 4000 == 1000) Log(LogLevel::kError, "keep", {{"i", i}});
    Log(LogLevel::kInfo, "flood", {{"i", i}});
  }
  EXPECT_EQ(DroppedLogRecords(LogDrop::kQueueFull, LogLevel::kError), errors_before);
  EXPECT_GT(DroppedLogRecords(LogDrop::kQueueFull, LogLevel::kInfo), infos_before);
  int kept = 0;
  for (const nlohmann::json& line : ParseLines(ReadWhileShuttingDown(captured))) kept += line["msg"] == "keep" ? 1 : 0;
  EXPECT_EQ(kept, 5);
}

TEST(LogTest, FailuresHeldBackAreToldInOneRecord) {
  CapturedStderr captured;
  InitLogging({.format = LogFormat::kJson});
  for (int i = 0; i < 1000; ++i) {
    if (AdmitFailure(LogLevel::kInfo, "digits", "INVALID_ARGUMENT")) Log(LogLevel::kInfo, "request");
  }
  ShutdownLogging();
  int requests = 0;
  uint64_t told = 0;
  for (const nlohmann::json& line : ParseLines(captured.Finish())) {
    if (line["msg"] == "request") ++requests;
    if (!line.contains("count")) continue;
    EXPECT_EQ(line["model"], "digits");
    EXPECT_EQ(line["code"], "INVALID_ARGUMENT");
    told += line["count"].get<uint64_t>();
  }
  EXPECT_GE(requests, 10);
  EXPECT_LE(requests, 20);
  EXPECT_EQ(requests + told, 1000U);
}

TEST(LogTest, DroppedRecordsAreReportedOnceStderrIsReadAgain) {
  CapturedStderr captured;
  InitLogging({.format = LogFormat::kJson});
  const uint64_t dropped_before = DroppedLogRecords();
  for (int i = 0; i < kMoreThanFits; ++i) Log(LogLevel::kInfo, "flood", {{"i", i}});
  const uint64_t dropped = DroppedLogRecords() - dropped_before;
  const std::string text = ReadWhileShuttingDown(captured);

  uint64_t reported = 0;
  uint64_t written = 0;
  for (const nlohmann::json& line : ParseLines(text)) {
    if (line["msg"] == "flood") {
      ++written;
    } else {
      reported += line["count"].get<uint64_t>();
    }
  }
  EXPECT_GT(dropped, 0U);
  EXPECT_EQ(reported, dropped);
  EXPECT_EQ(written + dropped, uint64_t{kMoreThanFits});
}

TEST(LogTest, RecordsOfManyThreadsNeverMixAndSurviveAShutdownInBetween) {
  CapturedStderr captured;
  InitLogging({.format = LogFormat::kJson});
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 100; ++i) Log(LogLevel::kInfo, "record", {{"thread", t}, {"i", i}});
    });
  }
  ShutdownLogging();
  threads.clear();
  EXPECT_EQ(ParseLines(captured.Finish()).size(), 400U);
  InitLogging({});
  ShutdownLogging();
}

}  // namespace
}  // namespace predictd
