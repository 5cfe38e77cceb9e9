#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "server/telemetry/log.h"
#include "tests/telemetry/captured_stderr.h"

namespace predictd {
namespace {

using std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr LogOptions kCapture = {.format = LogFormat::kJson, .capture_stderr = true};

// What libraries wrote, of the log's lines: all of them must be JSON.
std::vector<std::string> ForeignLines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const nlohmann::json record = nlohmann::json::parse(line);
    if (record["msg"] == "a library wrote to stderr") lines.push_back(record["detail"]);
  }
  return lines;
}

void WriteRaw(const std::string& text) {
  (void)!write(STDERR_FILENO, text.data(), text.size());
}

TEST(StderrCaptureTest, WhatAnybodyWritesBecomesARecordForEachLine) {
  CapturedStderr captured;
  InitLogging(kCapture);
  std::cerr << "one " << 1 << "\ntwo\r\n\n";
  (void)std::fprintf(stderr, "three \"%s\"\n", "\x1b[31m");
  WriteRaw("four");
  ShutdownLogging();
  EXPECT_THAT(ForeignLines(captured.Finish()), ElementsAre("one 1", "two", "three \"\x1b[31m\"", "four"));
}

TEST(StderrCaptureTest, LineThatDoesNotEndIsToldAllTheSame) {
  CapturedStderr captured;
  InitLogging(kCapture);
  WriteRaw("no end");
  std::string text;
  const auto until = steady_clock::now() + std::chrono::seconds(10);
  while (text.empty() && steady_clock::now() < until) {
    text = captured.ReadAvailable();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_THAT(ForeignLines(text), ElementsAre("no end"));
  ShutdownLogging();
}

TEST(StderrCaptureTest, LineThatIsTooLongIsCutIntoPieces) {
  CapturedStderr captured;
  InitLogging(kCapture);
  WriteRaw(std::string(20000, 'x') + "\nnext\n");
  ShutdownLogging();
  const std::vector<std::string> lines = ForeignLines(captured.Finish());
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_THAT(lines[0], HasSubstr("xxx"));
  EXPECT_EQ(lines[3], "next");
}

TEST(StderrCaptureTest, StderrIsGivenBack) {
  CapturedStderr captured;
  InitLogging(kCapture);
  ShutdownLogging();
  WriteRaw("as it is\n");
  Log(LogLevel::kInfo, "late");
  EXPECT_THAT(captured.Finish(), ::testing::AllOf(::testing::StartsWith("as it is\n"), HasSubstr("late")));
}

TEST(StderrCaptureTest, WhoHasDuplicatedStderrDoesNotHoldUpTheEnd) {
  CapturedStderr captured;
  InitLogging(kCapture);
  const int duplicate = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  WriteRaw("said\n");
  ShutdownLogging();
  close(duplicate);
  EXPECT_THAT(ForeignLines(captured.Finish()), ElementsAre("said"));
}

// The last one here: it uses up what may be told for a while.
TEST(StderrCaptureTest, FloodIsLimitedAndKeepsNobodyWaitingAlsoIfStderrIsNotRead) {
  CapturedStderr captured;
  InitLogging(kCapture);
  // More than its pipe holds, so that the log's own thread waits for stderr from now on.
  for (int i = 0; i < 2000; ++i) Log(LogLevel::kInfo, std::string(100, 'x'));
  steady_clock::duration slowest{};
  for (int i = 0; i < 100'000; ++i) {
    const auto before = steady_clock::now();
    std::cerr << "a line of a flood, the same again and again\n";
    slowest = std::max(slowest, steady_clock::now() - before);
  }
  EXPECT_LT(slowest, std::chrono::seconds(1));
  EXPECT_TRUE(std::cerr.good());
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
  const size_t told = ForeignLines(text + captured.Finish()).size();
  EXPECT_GE(told, 1U);
  EXPECT_LE(told, 200U);
}

// --- Last words ---

TEST(StderrCaptureDeathTest, AbortLosesNoLine) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        InitLogging(kCapture);
        Log(LogLevel::kError, "a record before it");
        WriteRaw("the last words");
        std::abort();
      },
      testing::KilledBySignal(SIGABRT), "a record before it.*\n.*\"detail\":\"the last words\"");
}

TEST(StderrCaptureDeathTest, ExceptionThatNobodyCatchesIsNamed) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        InitLogging(kCapture);
        std::thread([] { throw std::runtime_error("index out of bounds"); }).join();
      },
      testing::KilledBySignal(SIGABRT), "index out of bounds");
}

TEST(StderrCaptureDeathTest, SegmentationFaultEndsTheProcessAsUsual) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        InitLogging(kCapture);
        WriteRaw("before it\n");
        raise(SIGSEGV);
      },
      testing::KilledBySignal(SIGSEGV), "before it");
}

TEST(StderrCaptureDeathTest, LinesThatWereHeldBackAreToldInTheEnd) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        InitLogging(kCapture);
        for (int i = 0; i < 1000; ++i) WriteRaw("a flood\n");
        WriteRaw("the last words\n");
        std::abort();
      },
      testing::KilledBySignal(SIGABRT), "the last words");
}

TEST(StderrCaptureDeathTest, StderrThatNobodyReadsDoesNotKeepADyingProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        const CapturedStderr captured;
        InitLogging(kCapture);
        for (int i = 0; i < 5000; ++i) Log(LogLevel::kInfo, std::string(100, 'x'));
        WriteRaw("unheard\n");
        alarm(20);
        std::abort();
      },
      testing::KilledBySignal(SIGABRT), "");
}

TEST(StderrCaptureDeathTest, LibraryThatEndsTheProcessHasSaidWhy) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        InitLogging(kCapture);
        WriteRaw("FATAL ERROR: cannot load\n");
        std::exit(2);
      },
      testing::ExitedWithCode(2), "\"detail\":\"FATAL ERROR: cannot load\"");
}

}  // namespace
}  // namespace predictd
