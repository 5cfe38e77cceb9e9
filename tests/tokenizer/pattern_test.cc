#include "server/tokenizer/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace predictd {
namespace {

constexpr char kGpt2[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr char kLlama3[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// The matches, each in brackets, in the text.
std::string Marked(const Pattern& pattern, const std::string& text) {
  std::string result;
  size_t done = 0;
  PatternMatcher matcher(pattern, text);
  for (Pattern::Match match{}; matcher.Next(match); done = match.end) {
    EXPECT_GE(match.begin, done);
    absl::StrAppend(&result, text.substr(done, match.begin - done), "[",
                    text.substr(match.begin, match.end - match.begin), "]");
  }
  return result + text.substr(done);
}

std::string Marked(const std::string& regex, const std::string& text) {
  const absl::StatusOr<Pattern> pattern = Pattern::Parse(regex);
  EXPECT_TRUE(pattern.ok()) << regex << ": " << pattern.status();
  return pattern.ok() ? Marked(*pattern, text) : "";
}

TEST(PatternTest, FindsTheFirstMatchOfTheFirstAlternative) {
  EXPECT_EQ(Marked("a|ab", "abab"), "[a]b[a]b");
  EXPECT_EQ(Marked("ab|a", "aba"), "[ab][a]");
  EXPECT_EQ(Marked("(?:a|ab)(?:c|bcd)", "abcd"), "[abcd]");
  EXPECT_EQ(Marked("(a|b)*c", "ababc bac ab"), "[ababc] [bac] ab");
}

TEST(PatternTest, RepetitionsGiveBackWhatTheRestNeeds) {
  EXPECT_EQ(Marked("a*ab", "aaab"), "[aaab]");
  EXPECT_EQ(Marked("a+?b|a", "aab aa"), "[aab] [a][a]");
  EXPECT_EQ(Marked("a{2}", "aaaaa"), "[aa][aa]a");
  EXPECT_EQ(Marked("a{2,3}", "aaaaa"), "[aaa][aa]");
  EXPECT_EQ(Marked("a{,2}b", "aaab"), "a[aab]");
  EXPECT_EQ(Marked("a{2,}", "a aa aaaa"), "a [aa] [aaaa]");
  EXPECT_EQ(Marked("a{x}", "a{x}"), "[a{x}]");
}

TEST(PatternTest, PossessiveRepetitionsGiveNothingBack) {
  EXPECT_EQ(Marked("a++ab", "aaab"), "aaab");
  EXPECT_EQ(Marked("a?+ab", "ab"), "ab");
  EXPECT_EQ(Marked("a*+b", "aab"), "[aab]");
}

TEST(PatternTest, EmptyMatchesAreFoundBetweenOthers) {
  EXPECT_EQ(Marked("a*", "baac"), "[]b[aa]c[]");
  EXPECT_EQ(Marked("(?:a?)*", "ab"), "[a]b[]");
}

TEST(PatternTest, ClassesAreSetsOfCharacters) {
  EXPECT_EQ(Marked("[a-c]+", "xabcdx"), "x[abc]dx");
  EXPECT_EQ(Marked("[^a-c\\s]+", "ab xy"), "ab [xy]");
  EXPECT_EQ(Marked("[-a]+|[b-]+", "a-b-"), "[a-][b-]");
  EXPECT_EQ(Marked("[\\p{L}&&[^a-m]]+", "hello Zoë"), "hell[o] [Zo\xC3\xAB]");
  EXPECT_EQ(Marked("[[0-4][a\\]]]+", "3a]9"), "[3a]]9");
  EXPECT_EQ(Marked("[\\x41\\x{20AC}\\u00e9]+", "A\xE2\x82\xAC\xC3\xA9z"), "[A\xE2\x82\xAC\xC3\xA9]z");
}

TEST(PatternTest, PropertiesAreThoseOfUnicode) {
  EXPECT_EQ(Marked("\\p{L}+", "ab\xE6\x97\xA5 1"), "[ab\xE6\x97\xA5] 1");
  EXPECT_EQ(Marked("\\P{L}+|\\p{^Lu}", "A1 b"), "A[1 ][b]");
  EXPECT_EQ(Marked("\\s", "a\xE3\x80\x80\x0B"), "a[\xE3\x80\x80][\x0B]");
  EXPECT_EQ(Marked("\\p{Han}", "a\xE6\x97\xA5"), "a[\xE6\x97\xA5]");
}

TEST(PatternTest, CaseIsIgnoredWhereTheGroupSaysSo) {
  EXPECT_EQ(Marked("(?i:'s|[a-c])d", "'Sd Bd 'sD"), "['Sd] [Bd] 'sD");
  // U+017F is a long s.
  EXPECT_EQ(Marked("(?i:'s)|x", "'\xC5\xBF X"), "['\xC5\xBF] X");
}

TEST(PatternTest, LooksOneCharacterAheadOrBehind) {
  EXPECT_EQ(Marked("\\s+(?!\\S)", "a   b  "), "a[  ] b[  ]");
  EXPECT_EQ(Marked("x(?=y)|(?<=y)x|(?<![yz])w", "xy yx zw w"), "[x]y y[x] zw [w]");
}

TEST(PatternTest, AnchorsAreOnesOfLinesAndTexts) {
  EXPECT_EQ(Marked("^a|b$|\\Ac|d\\z", "ab\nab\ncd"), "[a][b]\n[a][b]\nc[d]");
}

TEST(PatternTest, KnownPatternsCutAsTheirModelsDo) {
  EXPECT_EQ(Marked(kGpt2, "I'll pay  $12,  ok?\n\n x"), "[I]['ll][ pay][ ][ $][12][,][ ][ ok][?][\n\n][ x]");
  EXPECT_EQ(Marked(kLlama3, "I'LL pay 12345\n  ok!\r\n"), "[I]['LL][ pay][ ][123][45][\n][ ][ ok][!\r\n]");
}

TEST(PatternTest, LiteralMatchesItsText) {
  const absl::StatusOr<Pattern> pattern = Pattern::Literal("a.*\xE2\x96\x81");
  ASSERT_TRUE(pattern.ok());
  EXPECT_EQ(Marked(*pattern, "xa.*\xE2\x96\x81 abc\xE2\x96\x81"), "x[a.*\xE2\x96\x81] abc\xE2\x96\x81");
}

TEST(PatternTest, WhatIsWrongOrNotSupportedIsSaid) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a)", "closes nothing"},
      {"(a", "')' is missing"},
      {"[a", "']' is missing"},
      {"[]a]", "must not be empty"},
      {"*a", "nothing to repeat"},
      {"a**", "repetition of a repetition"},
      {"a{2}?", "behind an interval"},
      {"a{3,2}", "wrong way round"},
      {"a{9999}", "too many repetitions"},
      {"[z-a]", "no range"},
      {"\\", "missing"},
      {"\\p{Nonsense}", "no property 'Nonsense'"},
      {"\\pL", "'{' is missing"},
      {"(?=ab)", "one character"},
      {"(?<name>a)", "kind of group"},
      {"(?>a)", "kind of group"},
      {"(?i)a", "kind of group"},
      {"(a)\\1", "\\1 is not supported"},
      {"a\\b", "\\b is not supported"},
      {"\\xE9", "single byte"},
      {"\\x{110000}", "no such character"},
      {"[[:alpha:]]", "POSIX"},
      {"(?:ab)++", "possessive repetition of a group"},
      {"(?i:ss)", "one character in another case"},
      {"(?i:\xC3\x9F)", "several in another case"},
      {"\xFF", "not UTF-8"},
      {std::string(100, '(') + std::string(100, ')'), "nested too deeply"},
      {"(?:(?:(?:a{1000}){1000}){1000}){1000}", "too large"},
  };
  for (const auto& [regex, message] : cases) {
    const absl::StatusOr<Pattern> pattern = Pattern::Parse(regex);
    EXPECT_EQ(pattern.status().code(), absl::StatusCode::kInvalidArgument) << regex;
    EXPECT_THAT(std::string(pattern.status().message()), testing::HasSubstr(message)) << regex;
  }
}

// Each of these keeps a plain backtracking matcher busy for years.
TEST(PatternTest, HostileTextsTakeLinearTime) {
  const size_t size = 300'000;
  const std::string spaces(size, ' ');
  const std::string letters(size, 'a');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\\s+$", spaces + "x"},   {kGpt2, spaces + "x"},   {kLlama3, spaces + "x"}, {kLlama3, "\n" + spaces + "x"},
      {"(?:a*)*b", letters},     {"(?:a|aa)+b", letters}, {"a*a*a*b", letters},    {"(?:a+)+$|[^a]", letters + "!"},
      {"(?:\\s*\\S)*;", spaces},
  };
  for (const auto& [regex, text] : cases) {
    const absl::StatusOr<Pattern> pattern = Pattern::Parse(regex);
    ASSERT_TRUE(pattern.ok()) << regex;
    const absl::Time start = absl::Now();
    PatternMatcher matcher(*pattern, text);
    for (Pattern::Match match{}; matcher.Next(match);) EXPECT_LE(match.end, text.size());
    // Quadratic time is minutes.
    EXPECT_LT(absl::Now() - start, absl::Seconds(20)) << regex;
  }
}

}  // namespace
}  // namespace predictd
