#include "client/predictctl/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace predictd {
namespace {

using ::testing::HasSubstr;

std::string MessageFor(const std::string& text) {
  const absl::StatusOr<nlohmann::json> json = ParseJson(text, NonFinite::kAsStrings);
  EXPECT_TRUE(absl::IsInvalidArgument(json.status())) << json.status();
  return std::string(json.status().message());
}

std::string Repeated(const std::string& text, int times) {
  std::string repeated;
  for (int i = 0; i < times; ++i) repeated += text;
  return repeated;
}

TEST(JsonTextTest, DeepNestingIsRefused) {
  EXPECT_TRUE(ParseJson(Repeated("[", 64) + Repeated("]", 64), NonFinite::kRefused).ok());
  for (const int depth : {65, 1000, 200'000}) {
    EXPECT_EQ(MessageFor(Repeated("[", depth) + Repeated("]", depth)), "nested deeper than 64") << depth;
    EXPECT_EQ(MessageFor(Repeated("{\"a\":", depth) + "1" + Repeated("}", depth)), "nested deeper than 64") << depth;
    EXPECT_EQ(MessageFor(Repeated("{\"a\":[", depth) + Repeated("]}", depth)), "nested deeper than 64") << depth;
    EXPECT_THAT(MessageFor(Repeated("[", depth)), HasSubstr("not JSON")) << "it does not even end";
  }
  EXPECT_TRUE(ParseJson('"' + Repeated("[", 1000) + '"', NonFinite::kRefused).ok()) << "a string is no nesting";
}

TEST(JsonTextTest, KeysThatComeTwiceAreRefused) {
  EXPECT_THAT(MessageFor(R"({"x": [1], "x": [2]})"), HasSubstr("'x' appears twice"));
  EXPECT_TRUE(ParseJson(R"({"x": {"a": 1}, "y": {"a": 1}})", NonFinite::kRefused).ok());
}

TEST(JsonTextTest, NumbersThatAreNoneAreStringsWhereThatIsWanted) {
  EXPECT_EQ(ParseJson("[NaN, -Infinity]", NonFinite::kAsStrings)->dump(), R"(["NaN","-Infinity"])");
  EXPECT_TRUE(absl::IsInvalidArgument(ParseJson("[NaN]", NonFinite::kRefused).status()));
}

}  // namespace
}  // namespace predictd
