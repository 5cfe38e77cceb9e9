#include "server/telemetry/drop_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/telemetry/log.h"
#include "tests/telemetry/captured_stderr.h"

namespace predictd {
namespace {

using ::testing::HasSubstr;

TEST(DropMetricsTest, TellWhatLogAndTracesLost) {
  const auto tracer = Tracer::Create({});
  ASSERT_TRUE(tracer.ok());
  MetricsRegistry registry;
  AddDropMetrics(registry, **tracer);
  const uint64_t before = DroppedLogRecords(LogDrop::kHeldBack, LogLevel::kInfo);
  for (int i = 0; i < 15; ++i) AdmitFailure(LogLevel::kInfo, "a model of this test", "INTERNAL");
  const std::string text = registry.ExpositionText();
  EXPECT_THAT(text, HasSubstr("predictd_log_lines_dropped_total{reason=\"held_back\",level=\"info\"} " +
                              std::to_string(before + 5) + "\n"));
  EXPECT_THAT(text, HasSubstr("predictd_log_lines_dropped_total{reason=\"queue_full\",level=\"error\"} "));
  EXPECT_THAT(text, HasSubstr("predictd_spans_dropped_total{reason=\"queue_full\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("predictd_spans_dropped_total{reason=\"not_exported\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("predictd_spans_exported_total 0\n"));
  EXPECT_THAT(text, HasSubstr("predictd_traces_refused_total 0\n"));
  // The count of those held back is the process's: it is told here, and not in the middle of another test.
  const CapturedStderr captured;
  InitLogging({});
  ShutdownLogging();
}

}  // namespace
}  // namespace predictd
