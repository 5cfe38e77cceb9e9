#include "server/generation/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace predictd {
namespace {

// Where the first string ends, and which string it is; npos if there is none.
std::pair<size_t, std::string> FirstStop(const std::vector<std::string>& strings, const std::string& text) {
  StopMatcher matcher(strings);
  for (size_t index = 0; index < text.size(); ++index) {
    if (const auto match = matcher.Add(text[index])) return {index + 1, matcher.string(*match)};
  }
  return {std::string::npos, ""};
}

std::pair<size_t, std::string> SlowFirstStop(const std::vector<std::string>& strings, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::string longest;
    for (const std::string& string : strings) {
      const bool ends_here = end >= string.size() && text.compare(end - string.size(), string.size(), string) == 0;
      if (ends_here && string.size() > longest.size()) longest = string;
    }
    if (!longest.empty()) return {end, longest};
  }
  return {std::string::npos, ""};
}

TEST(StopMatcherTest, FirstToBeCompleteCounts) {
  EXPECT_EQ(FirstStop({"cd", "bcde"}, "abcde"), std::pair(size_t{4}, std::string("cd")));
  EXPECT_EQ(FirstStop({"c", "abc"}, "abc"), std::pair(size_t{3}, std::string("abc")));
  EXPECT_EQ(FirstStop({"aab"}, "aaab"), std::pair(size_t{4}, std::string("aab")));
  EXPECT_EQ(FirstStop({"xyz"}, "xyxy").first, std::string::npos);
  EXPECT_EQ(FirstStop({}, "abc").first, std::string::npos);
}

TEST(StopMatcherTest, PendingIsTheLongestBeginning) {
  StopMatcher matcher({"abab!", "bax"});
  const std::string text = "xababab";
  const std::vector<size_t> pending = {0, 1, 2, 3, 4, 3, 4};
  for (size_t index = 0; index < text.size(); ++index) {
    EXPECT_FALSE(matcher.Add(text[index]).has_value());
    EXPECT_EQ(matcher.pending(), pending[index]) << index;
  }
}

TEST(StopMatcherTest, FindsWhatASlowSearchFinds) {
  std::mt19937 random(5);
  const auto any = [&random](size_t least, size_t most) {
    std::string text(std::uniform_int_distribution<size_t>(least, most)(random), ' ');
    for (char& byte : text) byte = static_cast<char>('a' + random() % 3);
    return text;
  };
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::string> strings(random() % 5);
    for (std::string& string : strings) string = any(1, 6);
    const std::string text = any(0, 40);
    ASSERT_EQ(FirstStop(strings, text), SlowFirstStop(strings, text)) << text;
  }
}

}  // namespace
}  // namespace predictd
