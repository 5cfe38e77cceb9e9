#include "server/telemetry/traceparent.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

namespace predictd {
namespace {

constexpr std::string_view kTraceId = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr std::string_view kParentId = "00f067aa0ba902b7";

TEST(ParseTraceparentTest, ReadsIdsAndTheSampledFlag) {
  struct Case {
    std::string_view header;
    bool sampled;
  };
  for (const Case& c : {
           Case{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
           Case{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false},
           // Other flag bits say nothing about sampling.
           Case{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", true},
           Case{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe", false},
           Case{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", true},
           // Later versions, as they are and with fields that this version does not know.
           Case{"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
           Case{"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings", true},
           Case{"fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-", false},
       }) {
    const std::optional<Traceparent> parsed = ParseTraceparent(c.header);
    ASSERT_TRUE(parsed.has_value()) << c.header;
    EXPECT_EQ(parsed->trace_id, kTraceId) << c.header;
    EXPECT_EQ(parsed->parent_id, kParentId) << c.header;
    EXPECT_EQ(parsed->sampled, c.sampled) << c.header;
  }
}

TEST(ParseTraceparentTest, IgnoresWhatIsMalformed) {
  for (const std::string_view header : {
           "",
           "00",
           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",  // trace id all zero
           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",  // parent id all zero
           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",  // version ff is forbidden
           "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",  // version is not hexadecimal
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",  // upper case
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
           "CC-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",  // one digit short
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",  // version 00 has nothing more
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
           "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01extra",  // more, without a dash
           "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",       // wrong separators
           "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
           "00-4bf92f3577b34da6a3ce929d0e0e473\n-00f067aa0ba902b7-01",
       }) {
    EXPECT_FALSE(ParseTraceparent(header).has_value()) << header;
  }
}

}  // namespace
}  // namespace predictd
