#include "server/tokenizer/bpe_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/text/utf8.h"
#include "tests/tokenizer/toy_tokenizer.h"

namespace predictd {
namespace {

using nlohmann::json;
using Range = Tokenizer::Range;
using Ids = std::vector<int32_t>;

std::shared_ptr<const Tokenizer> Parse(const json& file) {
  const auto tokenizer = ParseBpeTokenizer(file.dump());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *tokenizer;
}

class BpeTokenizerTest : public testing::Test {
 protected:
  int32_t Special(const std::string& text) const { return tokenizer_->SpecialToken(text).value_or(-1); }

  const std::shared_ptr<const Tokenizer> tokenizer_ = ToyTokenizer();
  const int32_t start_ = Special("<|start|>");
  const int32_t end_ = Special("<|end|>");
};

TEST_F(BpeTokenizerTest, TokensAreWhatTheMergesMake) {
  const auto pieces = [this](const std::string& text) {
    std::vector<std::string> result;
    for (const int32_t id : tokenizer_->Encode(text, {})) result.emplace_back(tokenizer_->TokenBytes(id));
    return result;
  };
  EXPECT_THAT(pieces("the hello"), testing::ElementsAre("the", " ", "hello"));
  EXPECT_THAT(pieces("hhell"), testing::ElementsAre("h", "hell"));
  EXPECT_THAT(pieces("\xE2\x82\xAC\xE2\x82"), testing::ElementsAre("\xE2\x82\xAC", "\xEF", "\xBF", "\xBD"));
  EXPECT_THAT(pieces("aaaaaaa"), testing::ElementsAre("aaaa", "aa", "a"));
  EXPECT_TRUE(pieces("").empty());
}

TEST_F(BpeTokenizerTest, SpecialTokensCountOnlyInsideTrustedRanges) {
  const std::string text = "<|start|>hello<|end|>";
  EXPECT_EQ(tokenizer_->Encode(text, {{0, text.size()}}).front(), start_);
  EXPECT_EQ(tokenizer_->Encode(text, {{0, text.size()}}).back(), end_);
  EXPECT_EQ(tokenizer_->Encode(text, {{0, text.size()}}).size(), 3U);
  EXPECT_THAT(tokenizer_->Encode(text, {}),
              testing::Not(testing::AnyOf(testing::Contains(start_), testing::Contains(end_))));
  // All of it must be trusted.
  EXPECT_THAT(tokenizer_->Encode(text, {{1, text.size()}}), testing::Not(testing::Contains(start_)));
  EXPECT_THAT(tokenizer_->Encode(text, {{0, text.size() - 1}}), testing::Not(testing::Contains(end_)));
  for (const std::vector<Range>& trusted : {std::vector<Range>{}, {{1, text.size() - 1}}, {{0, text.size()}}}) {
    EXPECT_EQ(tokenizer_->Decode(tokenizer_->Encode(text, trusted), false), text);
  }
}

TEST_F(BpeTokenizerTest, RangesBeyondTheTextAreCutOff) {
  EXPECT_EQ(tokenizer_->Encode("<|end|>", {{0, 1 << 30}}), Ids{end_});
  EXPECT_EQ(tokenizer_->Encode("<|end|>", {{100, 200}}), tokenizer_->Encode("<|end|>", {}));
}

TEST_F(BpeTokenizerTest, TrustedRangesStayRightBehindInvalidUtf8) {
  const std::string user = "\xFF\xE2\x82";
  EXPECT_EQ(tokenizer_->Encode(user + "<|end|>", {{user.size(), user.size() + 7}}).back(), end_);
  EXPECT_NE(tokenizer_->Encode(user + "<|end|>", {{0, user.size()}}).back(), end_);
}

// Of two tokens at one place, the longer one must not swallow the trusted one with the help of untrusted text.
TEST_F(BpeTokenizerTest, UntrustedTextCannotHideATrustedToken) {
  json file = ToyTokenizerJson({});
  json longer = file["added_tokens"][0];
  longer["id"] = 300;
  longer["content"] = "<|end|>x";
  file["added_tokens"].push_back(longer);
  json overlapping = longer;
  overlapping["id"] = 301;
  overlapping["content"] = "y<|end";
  file["added_tokens"].push_back(overlapping);
  const auto tokenizer = Parse(file);
  const int32_t end = tokenizer->SpecialToken("<|end|>").value();
  EXPECT_EQ(tokenizer->Encode("<|end|>x", {{0, 8}}), Ids{300});
  EXPECT_EQ(tokenizer->Encode("<|end|>x", {{0, 7}}), (Ids{end, 'x'}));
  EXPECT_EQ(tokenizer->Encode("y<|end|>", {{0, 8}}).front(), 301);
  EXPECT_EQ(tokenizer->Encode("y<|end|>", {{1, 8}}), (Ids{'y', end}));
}

TEST_F(BpeTokenizerTest, NoMergeAndNoWholeWordBecomesASpecialToken) {
  json file = ToyTokenizerJson({{"<", "s"}, {"<s", ">"}});
  const int32_t id = file["model"]["vocab"]["<s>"];
  json token = file["added_tokens"][0];
  token["id"] = id;
  token["content"] = "<s>";
  file["added_tokens"].push_back(token);
  file["pre_tokenizer"]["use_regex"] = false;
  for (const bool ignore_merges : {false, true}) {
    file["model"]["ignore_merges"] = ignore_merges;
    const auto tokenizer = Parse(file);
    EXPECT_THAT(tokenizer->Encode("<s>", {}), testing::Not(testing::Contains(id))) << ignore_merges;
    EXPECT_EQ(tokenizer->Encode("<s>", {{0, 3}}), Ids{id});
  }
}

TEST_F(BpeTokenizerTest, TrustIsKeptThroughNormalization) {
  json file = ToyTokenizerJson({});
  file["normalizer"] = {{"type", "NFC"}};
  for (json& token : file["added_tokens"]) token["normalized"] = true;
  const auto tokenizer = Parse(file);
  // Five bytes that become four.
  const std::string user = "e\xCC\x81\xCC\xA3";
  const std::string text = absl::StrCat(user, "<|end|>", user, "<|end|>");
  const Ids ids = tokenizer->Encode(text, {{user.size(), user.size() + 7}});
  EXPECT_EQ(std::count(ids.begin(), ids.end(), tokenizer->SpecialToken("<|end|>").value()), 1);
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(user, {}), false), "\xE1\xBA\xB9\xCC\x81");
}

TEST_F(BpeTokenizerTest, DecodeLeavesOutSpecialAndUnknownTokens) {
  EXPECT_EQ(tokenizer_->Decode({start_, 'a', end_}, false), "<|start|>a<|end|>");
  EXPECT_EQ(tokenizer_->Decode({start_, 'a', end_}, true), "a");
  EXPECT_EQ(tokenizer_->Decode({-1, 'a', tokenizer_->size(), 1 << 30}, false), "a");
  EXPECT_EQ(tokenizer_->Decode({0xE2, 0x82, 'a'}, false),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_TRUE(tokenizer_->IsSpecial(end_));
  EXPECT_FALSE(tokenizer_->IsSpecial('a'));
  EXPECT_FALSE(tokenizer_->IsSpecial(-1));
  EXPECT_EQ(tokenizer_->TokenBytes(tokenizer_->size()), "");
  EXPECT_EQ(tokenizer_->SpecialToken("a"), std::nullopt);
  EXPECT_EQ(tokenizer_->size(), end_ + 2);
}

TEST_F(BpeTokenizerTest, PrefixIsWhatTheTemplatePutsBeforeAText) {
  EXPECT_TRUE(tokenizer_->prefix().empty());
  json file = ToyTokenizerJson({});
  const auto start_id = file["added_tokens"][1]["id"].get<int32_t>();
  const json start = {{"SpecialToken", {{"id", "<|start|>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  const json single = {
      {"type", "TemplateProcessing"},
      {"single", {start, text}},
      {"pair", json::array()},
      {"special_tokens", {{"<|start|>", {{"id", "<|start|>"}, {"ids", {start_id}}, {"tokens", {"<|start|>"}}}}}}};
  file["post_processor"] = {{"type", "Sequence"}, {"processors", {bytes, single}}};
  EXPECT_EQ(Parse(file)->prefix(), Ids{Parse(file)->SpecialToken("<|start|>").value()});
}

// Half of it from pieces that merge, half from any characters.
std::string RandomText(std::mt19937& random) {
  const std::vector<std::string> parts = {"the", " the", "hell",         "o",      "aaa", "  ", "\n",
                                          "'s",  "7",    "\xE2\x82\xAC", "<|end|>"};
  std::string text;
  for (size_t count = random() % 30; count > 0; --count) {
    if (random() % 2 == 0) {
      text += parts[random() % parts.size()];
      continue;
    }
    const uint32_t code = random() % 2 == 0 ? random() % 0x250 : random() % 0x110000;
    char bytes[4];
    size_t size = 0;
    UBool failed = 0;
    U8_APPEND(bytes, size, sizeof(bytes), static_cast<UChar32>(code), failed);
    if (failed == 0) text.append(bytes, size);
  }
  return text;
}

TEST_F(BpeTokenizerTest, DecodingGivesTheTextBack) {
  std::mt19937 random(3);
  for (int round = 0; round < 10000; ++round) {
    const std::string text = RandomText(random);
    std::vector<Range> trusted;
    if (round % 2 == 0) trusted.push_back({random() % (text.size() + 1), text.size()});
    ASSERT_EQ(tokenizer_->Decode(tokenizer_->Encode(text, trusted), false), text);
  }
}

TEST_F(BpeTokenizerTest, AnyBytesBecomeTheirReplacedForm) {
  std::mt19937 random(4);
  for (int round = 0; round < 10000; ++round) {
    std::string bytes(random() % 20, ' ');
    for (char& byte : bytes) byte = static_cast<char>(random() % 3 == 0 ? random() % 128 : 0x80 + random() % 128);
    ASSERT_EQ(tokenizer_->Decode(tokenizer_->Encode(bytes, {}), false), ToUtf8(bytes));
  }
}

// The way of long words must give what the way of short ones gives.
TEST_F(BpeTokenizerTest, LongWordsAreMergedLikeShortOnes) {
  std::mt19937 random(9);
  json file =
      ToyTokenizerJson({{"a", "b"}, {"b", "a"}, {"ab", "a"}, {"ab", "ab"}, {"c", "ab"}, {"c", "c"}, {"ba", "cc"}});
  file["pre_tokenizer"]["use_regex"] = false;
  const auto tokenizer = Parse(file);
  // No merge crosses an x.
  for (int round = 0; round < 3000; ++round) {
    Ids expected;
    std::string text;
    for (size_t words = 2 + random() % 8; words > 0; --words) {
      std::string word(random() % 30, ' ');
      for (char& byte : word) byte = static_cast<char>('a' + random() % 3);
      word += 'x';
      const Ids ids = tokenizer->Encode(word, {});
      expected.insert(expected.end(), ids.begin(), ids.end());
      text += word;
    }
    ASSERT_EQ(tokenizer->Encode(text, {}), expected) << text;
  }
}

TEST_F(BpeTokenizerTest, LongTextsTakeLinearTime) {
  const size_t size = 250'000;
  std::string words;
  while (words.size() < size) words += "the hello  aa, ";
  std::string marks;
  while (marks.size() < size) marks += "\xCC\x81\xCC\xA3";
  json file = ToyTokenizerJson({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}, {"t", "h"}, {"th", "e"}});
  file["normalizer"] = {{"type", "NFC"}};
  const auto tokenizer = Parse(file);
  for (const std::string& text :
       {words, std::string(size, 'a'), std::string(size, ' ') + "x", std::string(size, '\n') + " x", marks,
        std::string(size, '<'), "e" + marks, std::string(size, '\xE2')}) {
    const absl::Time start = absl::Now();
    EXPECT_FALSE(tokenizer->Encode(text, {{0, text.size()}}).empty());
    // Some tens of milliseconds where nothing else runs; minutes if it were quadratic.
    EXPECT_LT(absl::Now() - start, absl::Seconds(30)) << text.substr(0, 20);
  }
}

}  // namespace
}  // namespace predictd
