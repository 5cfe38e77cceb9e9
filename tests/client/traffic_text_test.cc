#include "client/predictctl/traffic_text.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <sstream>

namespace predictd {
namespace {

std::string Printed(const char* text) {
  v1::TrafficSplit traffic;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &traffic));
  std::ostringstream out;
  PrintTraffic(traffic, out);
  return out.str();
}

TEST(TrafficTextTest, SaysWhoGetsWhatAndWhatElseHappens) {
  EXPECT_EQ(
      Printed(R"(shares { version: "1" weight: 2 } shares { version: "canary" weight: 1 }
                       shadow { version: "3" fraction: 0.05 }
                       rollback { stable: "1" max_failure_excess: 0.02 max_latency_ratio: 1.5 min_requests: 50 })"),
      "  VERSION  WEIGHT  PART\n"
      "  1        2       66.67%\n"
      "  canary   1       33.33%\n"
      "  3 gets copies of 5% of the requests\n"
      "  1 gets all requests if another version is worse: 2% more of its requests fail, or they take 1.5 times as "
      "long (after 50 of each)\n");
}

TEST(TrafficTextTest, ARuleHasTheServersDefault) {
  EXPECT_EQ(Printed(R"(shares { version: "1" weight: 1 } rollback { stable: "1" max_latency_ratio: 2 })"),
            "  VERSION  WEIGHT  PART\n"
            "  1        1       100%\n"
            "  1 gets all requests if another version is worse: they take 2 times as long (after 100 of each)\n");
}

TEST(TrafficTextTest, LabelsCannotControlTheTerminal) {
  v1::TrafficSplit traffic;
  traffic.add_shares()->set_version("\x1b[2J");
  EXPECT_EQ(TrafficText(traffic), "\\x1b[2J=0");
}

}  // namespace
}  // namespace predictd
