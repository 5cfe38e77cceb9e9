#include "server/telemetry/log_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace predictd {
namespace {

using Json = nlohmann::json;

// 2026-01-02T03:04:05.123456Z, and some nanoseconds that are cut off.
constexpr std::chrono::system_clock::time_point kTime{std::chrono::nanoseconds(1767323045123456789)};

std::string Text(std::string_view message, absl::Span<const LogField> fields = {}) {
  return FormatLogLine(LogFormat::kText, kTime, LogLevel::kInfo, message, fields);
}

std::string JsonLine(std::string_view message, absl::Span<const LogField> fields = {}) {
  return FormatLogLine(LogFormat::kJson, kTime, LogLevel::kInfo, message, fields);
}

const std::vector<std::string>& HostileStrings() {
  static const std::vector<std::string> strings = {
      "line\nbreak",
      "carriage\rreturn",
      "crlf\r\n2026-01-02T03:04:05.123456Z ERROR forged",
      "\",\"level\":\"error",
      "back\\slash\\",
      std::string("nul\0byte", 8),
      "escape\x1b[31mred",
      "del\x7f",
      "c1 next line \xC2\x85 here",
      "line separator \xE2\x80\xA8 here",
      "paragraph separator \xE2\x80\xA9 here",
      "vertical\vtab\fform",
      "invalid \xFF\xFE utf-8",
      "overlong newline \xC0\x8A",
      "cut \xE2\x82",
      std::string(100000, '\n'),
  };
  return strings;
}

TEST(LogFormatTest, TextLineHasTimeLevelMessageAndFields) {
  EXPECT_EQ(Text("ready", {{"port", 8500}, {"host", "localhost"}, {"ratio", 0.25}, {"tls", false}}),
            "2026-01-02T03:04:05.123456Z INFO  ready port=8500 host=localhost ratio=0.25 tls=false\n");
}

TEST(LogFormatTest, TextLevelsAreOneWidth) {
  const auto at = [](LogLevel level) { return FormatLogLine(LogFormat::kText, kTime, level, "m", {}).substr(28); };
  EXPECT_EQ(at(LogLevel::kDebug), "DEBUG m\n");
  EXPECT_EQ(at(LogLevel::kInfo), "INFO  m\n");
  EXPECT_EQ(at(LogLevel::kWarning), "WARN  m\n");
  EXPECT_EQ(at(LogLevel::kError), "ERROR m\n");
}

TEST(LogFormatTest, TextQuotesWhatIsNotOneWord) {
  EXPECT_EQ(Text("m", {{"a", "two words"}}).substr(34), "m a=\"two words\"\n");
  EXPECT_EQ(Text("m", {{"a", ""}}).substr(34), "m a=\"\"\n");
  EXPECT_EQ(Text("m", {{"a", "x level=error"}}).substr(34), "m a=\"x level=error\"\n");
  EXPECT_EQ(Text("m", {{"a", "b=c"}}).substr(34), "m a=\"b=c\"\n");
  EXPECT_EQ(Text("m", {{"a", "say \"hi\""}}).substr(34), "m a=\"say \\\"hi\\\"\"\n");
  EXPECT_EQ(Text("m", {{"a", "C:\\x"}}).substr(34), "m a=\"C:\\\\x\"\n");
  EXPECT_EQ(Text("m", {{"a", "\xC3\xA9"}}).substr(34), "m a=\"\xC3\xA9\"\n");
  EXPECT_EQ(Text("m", {{"odd key", 1}}).substr(34), "m \"odd key\"=1\n");
}

TEST(LogFormatTest, JsonLineHasTimeLevelMessageAndFieldsInOrder) {
  EXPECT_EQ(
      JsonLine("ready", {{"port", 8500}, {"host", "a b"}, {"ratio", 0.25}, {"tls", true}}),
      "{\"ts\":\"2026-01-02T03:04:05.123456Z\",\"level\":\"info\",\"msg\":\"ready\",\"port\":8500,\"host\":\"a b\","
      "\"ratio\":0.25,\"tls\":true}\n");
}

TEST(LogFormatTest, JsonNumbersKeepTheirExtremes) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Json line = Json::parse(JsonLine("m", {{"min", std::numeric_limits<int64_t>::min()},
                                               {"clamped", std::numeric_limits<uint64_t>::max()},
                                               {"small", 5e-324},
                                               {"large", 1.7976931348623157e308},
                                               {"nan", std::nan("")},
                                               {"inf", infinity},
                                               {"minus_inf", -infinity}}));
  EXPECT_EQ(line["min"], std::numeric_limits<int64_t>::min());
  EXPECT_EQ(line["clamped"], std::numeric_limits<int64_t>::max());
  EXPECT_EQ(line["small"], 5e-324);
  EXPECT_EQ(line["large"], 1.7976931348623157e308);
  EXPECT_EQ(line["nan"], "NaN");
  EXPECT_EQ(line["inf"], "Infinity");
  EXPECT_EQ(line["minus_inf"], "-Infinity");
}

TEST(LogFormatTest, EveryRecordIsExactlyOneLineWithoutControlCharacters) {
  for (const std::string& hostile : HostileStrings()) {
    for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
      const std::string line =
          FormatLogLine(format, kTime, LogLevel::kInfo, hostile, {{"request_id", hostile}, {hostile, 1}});
      EXPECT_EQ(line.find('\n'), line.size() - 1);
      for (size_t i = 0; i + 1 < line.size(); ++i) {
        const auto c = static_cast<unsigned char>(line[i]);
        EXPECT_TRUE(c >= 0x20 && c != 0x7F) << "byte " << int{c} << " at " << i;
      }
      for (const std::string_view separator : {"\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9"}) {
        EXPECT_EQ(line.find(separator), std::string::npos);
      }
    }
  }
}

TEST(LogFormatTest, JsonIsParseableWhateverTheStringsHold) {
  for (const std::string& hostile : HostileStrings()) {
    const Json line = Json::parse(JsonLine(hostile, {{"request_id", hostile}, {hostile, 1}}));
    EXPECT_EQ(line["level"], "info");
    EXPECT_EQ(line.size(), 5U);
  }
}

TEST(LogFormatTest, JsonGivesBackValidStringsUnchanged) {
  const std::string text =
      "tab\t newline\n quote\" backslash\\ nul" + std::string(1, '\0') + " \xE2\x80\xA8 \xC2\x85 \xF0\x9F\x98\x80";
  const Json line = Json::parse(JsonLine(text, {{"id", text}}));
  EXPECT_EQ(line["msg"], text);
  EXPECT_EQ(line["id"], text);
}

TEST(LogFormatTest, InvalidUtf8IsReplaced) {
  EXPECT_EQ(Json::parse(JsonLine("a\xFF"
                                 "b"))["msg"],
            "a\xEF\xBF\xBD"
            "b");
}

TEST(LogFormatTest, OverlongStringsAreCutAndMarked) {
  const std::string long_text(1 << 20, 'x');
  const std::string line = JsonLine(long_text, {{"value", long_text}, {long_text, 1}});
  EXPECT_LT(line.size(), 8192U);
  const Json json = Json::parse(line);
  EXPECT_EQ(json["msg"], std::string(4096, 'x') + "\xE2\x80\xA6");
  EXPECT_EQ(json["value"], std::string(2048, 'x') + "\xE2\x80\xA6");
  EXPECT_LT(Text(long_text, {{"value", long_text}}).size(), 8192U);
}

TEST(LogFormatTest, ALineIsBoundedWhateverItsFieldsHold) {
  // Each of these bytes is six in the line.
  const std::string hostile(10'000, '\x01');
  std::vector<LogField> fields;
  for (int i = 0; i < 20; ++i) fields.push_back({"value", hostile});
  fields.push_back({"last", 42});
  for (const LogFormat format : {LogFormat::kJson, LogFormat::kText}) {
    const std::string line = FormatLogLine(format, {}, LogLevel::kInfo, hostile, fields);
    EXPECT_LE(line.size(), 8192U);
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  }
  const auto json = nlohmann::json::parse(FormatLogLine(LogFormat::kJson, {}, LogLevel::kInfo, hostile, fields));
  EXPECT_EQ(json["last"], 42);
}

}  // namespace
}  // namespace predictd
