#include "server/generation/text_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "server/generation/lossy_utf8.h"
#include "tests/generation/toy_tokenizer.h"

namespace predictd {
namespace {

struct Outcome {
  std::vector<std::string> pieces;
  std::string text;
  std::string stop_string;
  bool stopped = false;
};

class TextStreamTest : public testing::Test {
 protected:
  Outcome Stream(const std::vector<int32_t>& ids, const std::vector<std::string>& stops) {
    TextStream stream(*tokenizer_, stops);
    Outcome outcome;
    const auto take = [&outcome](const TextStream::Piece& piece) {
      EXPECT_TRUE(IsUtf8(piece.text));
      EXPECT_TRUE(!outcome.stopped || (piece.text.empty() && !piece.stopped)) << "after the stop";
      outcome.pieces.push_back(piece.text);
      outcome.text += piece.text;
      outcome.stopped = outcome.stopped || piece.stopped;
      outcome.stop_string += piece.stop_string;
    };
    for (const int32_t id : ids) take(stream.Add(id));
    take(stream.Finish());
    return outcome;
  }

  // The tokens of bytes, one by one.
  static std::vector<int32_t> Bytes(const std::string& text) {
    std::vector<int32_t> ids;
    for (const char byte : text) ids.push_back(static_cast<uint8_t>(byte));
    return ids;
  }

  const std::shared_ptr<const Tokenizer> tokenizer_ = ToyTokenizer();
};

TEST_F(TextStreamTest, CharactersComeWhole) {
  EXPECT_EQ(Stream(Bytes("a\xE2\x82\xAC z"), {}).pieces,
            (std::vector<std::string>{"a", "", "", "\xE2\x82\xAC", " ", "z", ""}));
}

TEST_F(TextStreamTest, BytesThatAreNoCharacterAreReplacedAsSoonAsThatIsKnown) {
  const std::string bad(kReplacementCharacter);
  EXPECT_EQ(Stream(Bytes("\xE2\x82(\xFF\xF0\x9F"), {}).pieces,
            (std::vector<std::string>{"", "", bad + "(", bad, "", "", bad}));
}

TEST_F(TextStreamTest, StopStringIsNeverLeakedInPart) {
  const Outcome outcome = Stream(Bytes("one END two"), {"END", "ENDLESS"});
  EXPECT_EQ(outcome.pieces, (std::vector<std::string>{"o", "n", "e", " ", "", "", "", "", "", "", "", ""}));
  EXPECT_TRUE(outcome.stopped);
  EXPECT_EQ(outcome.stop_string, "END");
}

TEST_F(TextStreamTest, WhatOnlyLookedLikeAStopStringIsReleased) {
  EXPECT_EQ(Stream(Bytes("aEaENaEN"), {"END"}).pieces,
            (std::vector<std::string>{"a", "", "Ea", "", "", "ENa", "", "", "EN"}));
  EXPECT_EQ(Stream(Bytes("aaab"), {"aab"}).pieces, (std::vector<std::string>{"", "", "a", "", ""}));
}

TEST_F(TextStreamTest, TokenWithAStopStringInsideIsCut) {
  const std::vector<int32_t> ids = tokenizer_->Encode("hello", {});
  ASSERT_EQ(ids.size(), 1U);
  EXPECT_EQ(Stream(ids, {"ll"}).text, "he");
  EXPECT_EQ(Stream(ids, {"hello"}).text, "");
  EXPECT_EQ(Stream(ids, {"o", "hell"}).stop_string, "hell");
}

TEST_F(TextStreamTest, StopStringOfAReplacementMayBeCompletedByTheEnd) {
  const Outcome outcome = Stream(Bytes("ab\xE2\x82"), {"b" + std::string(kReplacementCharacter)});
  EXPECT_EQ(outcome.text, "a");
  EXPECT_TRUE(outcome.stopped);
}

TEST_F(TextStreamTest, SpecialAndUnknownTokensAreNoText) {
  const int32_t end = tokenizer_->SpecialToken("<|end|>").value();
  EXPECT_EQ(Stream({'a', end, 'b', 1 << 20, -1, 'c'}, {}).text, "abc");
  // Nor do they come between the bytes of anything.
  EXPECT_EQ(Stream({0xE2, end, 0x82, 0xAC}, {}).text, "\xE2\x82\xAC");
}

TEST_F(TextStreamTest, PiecesAreTheWholeDecodeUpToTheFirstStopString) {
  std::mt19937 random(11);
  const std::vector<std::string> parts = {"hello",    "the",     " the", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
                                          "\xE2\x82", "\xFF",    "aa",   "aaaa",         "ab",
                                          "  ",       "\xC3\xA9"};
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (size_t count = random() % 12; count > 0; --count) text += parts[random() % parts.size()];
    std::vector<std::string> stops(random() % 4);
    for (std::string& stop : stops) {
      for (size_t count = 1 + random() % 2; count > 0; --count) stop += ToUtf8(parts[random() % parts.size()]);
      if (random() % 2 == 0 && stop[0] < 0x7F && stop[0] > 0) stop = stop.substr(0, 1 + random() % 2);
      stop = ToUtf8(stop);
    }
    // Both as the tokenizer cuts it and byte by byte.
    for (const std::vector<int32_t>& ids : {tokenizer_->Encode(text, {}), Bytes(text)}) {
      const std::string whole = tokenizer_->Decode(ids, true);
      size_t cut = std::string::npos;
      for (size_t end = 1; end <= whole.size() && cut == std::string::npos; ++end) {
        for (const std::string& stop : stops) {
          if (end < stop.size() || whole.compare(end - stop.size(), stop.size(), stop) != 0) continue;
          cut = std::min(cut, end - stop.size());
        }
      }
      const Outcome outcome = Stream(ids, stops);
      ASSERT_EQ(outcome.text, whole.substr(0, cut));
      ASSERT_EQ(outcome.stopped, cut != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace predictd
