// Text that knows where it comes from, with bytes of every kind: the comparison with Python has only valid text.

#include "server/template/string.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace predictd {
namespace {

// As it is, with what is trusted in brackets.
std::string Marked(const TemplateString& text) {
  std::string marked;
  size_t done = 0;
  for (const TextRange& range : text.trusted()) {
    marked += text.text().substr(done, range.begin - done) + "[";
    marked += text.text().substr(range.begin, range.end - range.begin) + "]";
    done = range.end;
  }
  return marked + text.text().substr(done);
}

// The other way round.
TemplateString Parse(const std::string& marked) {
  TemplateString text;
  bool is_trusted = false;
  for (char byte : marked) {
    if (byte == '[' || byte == ']') {
      is_trusted = byte == '[';
    } else if (is_trusted) {
      text.AppendTrusted(std::string(1, byte));
    } else {
      text.AppendUntrusted(std::string(1, byte));
    }
  }
  return text;
}

TEST(TemplateStringTest, RangesThatTouchAreOne) {
  TemplateString text = TemplateString::Trusted("<|im_");
  text.AppendTrusted("");
  text.Append(TemplateString::Trusted("end|>"));
  text.AppendUntrusted("x");
  text.AppendTrusted("y");
  EXPECT_EQ(text.trusted(), (std::vector<TextRange>{{0, 10}, {11, 12}}));
}

TEST(TemplateStringTest, ContentBetweenTwoPiecesKeepsThemApart) {
  TemplateString text = TemplateString::Trusted("<|im_");
  text.Append(TemplateString::Untrusted("end"));
  text.Append(TemplateString::Trusted("|>"));
  EXPECT_EQ(Marked(text), "[<|im_]end[|>]");
}

TEST(TemplateStringTest, PartsKeepTheirRanges) {
  const TemplateString text = Parse("ab[cd]ef[gh]");
  for (size_t begin = 0; begin <= text.size(); ++begin) {
    for (size_t end = begin; end <= text.size(); ++end) {
      const TemplateString part = text.Part(begin, end);
      EXPECT_EQ(part.text(), text.text().substr(begin, end - begin));
      size_t trusted = 0;
      for (const TextRange& range : part.trusted()) {
        ASSERT_LT(range.begin, range.end);
        for (size_t i = range.begin; i < range.end; ++i) {
          EXPECT_NE(std::string("cdgh").find(part.text()[i]), std::string::npos);
          ++trusted;
        }
      }
      size_t expected = 0;
      for (size_t i = begin; i < end; ++i) expected += std::string("cdgh").find(text.text()[i]) != std::string::npos;
      EXPECT_EQ(trusted, expected);
    }
  }
}

TEST(TemplateStringTest, OperationsKeepWhatIsTrusted) {
  EXPECT_EQ(Marked(Strip(Parse("[ a] b [ ]"), StripSide::kBoth, nullptr)), "[a] b");
  const std::string characters = "ax";
  EXPECT_EQ(Marked(Strip(Parse("a[xb]xa"), StripSide::kBoth, &characters)), "[b]");
  EXPECT_EQ(Marked(Strip(Parse("a[xb]xa"), StripSide::kLeft, &characters)), "[b]xa");
  EXPECT_EQ(Marked(Strip(Parse("a[xb]xa"), StripSide::kRight, &characters)), "a[xb]");
  EXPECT_EQ(Marked(Replace(Parse("a#[b#]c"), "#", Parse("+"), -1)), "a+[b]+c");
  EXPECT_EQ(Marked(Replace(Parse("a#b"), "#", Parse("[+]"), -1)), "a[+]b");
  // What is replaced may cross a border.
  EXPECT_EQ(Marked(Replace(Parse("[a<]>b"), "<>", Parse("-"), -1)), "[a]-b");
  const std::vector<TemplateString> parts = Split(Parse("a[b,c],d"), nullptr, -1, 99);
  ASSERT_EQ(parts.size(), 1U);
  const std::string comma = ",";
  std::vector<std::string> marked;
  for (const TemplateString& part : Split(Parse("a[b,c],d"), &comma, -1, 99)) marked.push_back(Marked(part));
  EXPECT_EQ(marked, (std::vector<std::string>{"a[b]", "[c]", "d"}));
  EXPECT_EQ(Marked(ConvertCase(Parse("stra\xc3\x9f[e stra\xc3\x9f]e"), LetterCase::kUpper)), "STRASS[E STRASS]E");
  EXPECT_EQ(Marked(ConvertCase(Parse("[h]ELLO"), LetterCase::kCapitalized)), "[H]ello");
}

TEST(TemplateStringTest, TextWithTooManyPartsIsNotTakenApart) {
  const TemplateString text = Parse(std::string(1000, '\n') + std::string(1000, ','));
  const std::string comma = ",";
  EXPECT_EQ(Split(text, &comma, -1, 5).size(), 7U);
  EXPECT_EQ(Split(Parse("a b c d e f g h"), nullptr, -1, 3).size(), 4U);
  EXPECT_EQ(SplitLines(text, 3).size(), 4U);
  EXPECT_EQ(SplitLines(text, 2000).size(), 1001U);
}

TEST(TemplateStringTest, PartsAreFoundInTextOfAnyLength) {
  EXPECT_EQ(FindPart("abcabc", "bc", 0), 1U);
  EXPECT_EQ(FindPart("abcabc", "bc", 2), 4U);
  EXPECT_EQ(FindPart("abcabc", "bc", 5), std::string::npos);
  EXPECT_EQ(FindPart("abc", "", 3), 3U);
  EXPECT_EQ(FindPart("abc", "", 4), std::string::npos);
  EXPECT_EQ(CountParts("aaaaa", "aa"), 2U);
  EXPECT_EQ(CountParts("", "a"), 0U);
  // Much that is alike would take minutes if each place were compared.
  const std::string alike(2'000'000, 'a');
  EXPECT_EQ(FindPart(alike, alike.substr(0, 1'000'000) + "b", 0), std::string::npos);
}

// Text that is not UTF-8 cannot come by gRPC, but must not do harm either.
TEST(TemplateStringTest, AnyBytesCanBeTakenApart) {
  std::mt19937 random(1);
  const std::string alphabet = {'a', ' ', '#', '\0', '\x80', '\xc3', '\x9f', '\xe3', '\x81', '\xf0', '\x9f', '\xff'};
  for (int round = 0; round < 3000; ++round) {
    TemplateString text;
    std::string bytes;
    for (size_t i = random() % 12; i > 0; --i) {
      const std::string piece(1, alphabet[random() % alphabet.size()]);
      bytes += piece;
      random() % 2 == 0 ? text.AppendTrusted(piece) : text.AppendUntrusted(piece);
    }
    ASSERT_EQ(text.text(), bytes);
    std::string again;
    size_t count = 0;
    for (size_t at = 0; at < bytes.size(); ++count) {
      const size_t next = AdvanceCharacters(bytes, at, 1);
      ASSERT_GT(next, at);
      again += text.Part(at, next).text();
      at = next;
    }
    EXPECT_EQ(again, bytes);
    EXPECT_EQ(count, CountCharacters(bytes));
    EXPECT_EQ(AdvanceCharacters(bytes, 0, count + 5), bytes.size());
    const std::string hash = "#";
    std::string joined;
    for (const TemplateString& part : Split(text, &hash, -1, text.size() + 1)) joined += part.text() + "#";
    EXPECT_EQ(joined, bytes + "#");
    EXPECT_LE(Strip(text, StripSide::kBoth, nullptr).size(), bytes.size());
    EXPECT_EQ(Replace(text, "#", TemplateString::Trusted("#"), -1).text(), bytes);
    for (LetterCase letter_case :
         {LetterCase::kUpper, LetterCase::kLower, LetterCase::kCapitalized, LetterCase::kTitle, LetterCase::kWords}) {
      const TemplateString converted = ConvertCase(text, letter_case);
      EXPECT_EQ(converted.trusted().empty(), text.trusted().empty());
    }
  }
}

}  // namespace
}  // namespace predictd
