#include "server/generation/text_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "server/text/utf8.h"
#include "tests/tokenizer/toy_tokenizer.h"

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
  Outcome Stream(const std::vector<int32_t>& ids, const std::vector<std::string>& stops,
                 const std::vector<int32_t>& prompt = {}) {
    TextStream stream(*tokenizer_, stops, prompt);
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

  // The tokens of the bytes, one by one.
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
  // Nor do they split a character whose bytes are before and after them.
  EXPECT_EQ(Stream({0xE2, end, 0x82, 0xAC}, {}).text, "\xE2\x82\xAC");
}

TEST_F(TextStreamTest, CharacterThatBeganInThePromptBelongsToTheAnswerThatCompletesIt) {
  EXPECT_EQ(Stream(Bytes("\x82\xAC!"), {}, Bytes("a\xE2")).text, "\xE2\x82\xAC!");
  EXPECT_EQ(Stream(Bytes("\xAC"), {}, Bytes("a\xE2\x82")).text, "\xE2\x82\xAC");
  EXPECT_EQ(Stream(Bytes("\x9F\x98\x80"), {}, Bytes("\xF0")).text, "\xF0\x9F\x98\x80");
  EXPECT_EQ(Stream(Bytes("\x82\xAC"), {"\xE2\x82\xAC"}, Bytes("\xE2")).text, "");
  // The prompt's last bytes are whole characters, or cannot be completed.
  EXPECT_EQ(Stream(Bytes("b"), {}, Bytes("\xE2\x82\xAC")).text, "b");
  EXPECT_EQ(Stream(Bytes("b"), {}, Bytes("\x82\x82\x82\x82")).text, "b");
}

TEST_F(TextStreamTest, WhatThePromptLeftIncompleteIsNothingOfTheAnswerThatDoesNotCompleteIt) {
  const std::string bad(kReplacementCharacter);
  EXPECT_EQ(Stream(Bytes("b\xE2"), {}, Bytes("a\xE2\x82")).text, "b" + bad);
  EXPECT_EQ(Stream(Bytes("\x98z"), {}, Bytes("\xF0\x9F")).text, "z");
  EXPECT_EQ(Stream(Bytes(""), {}, Bytes("\xF0\x9F")).text, "");
  EXPECT_EQ(Stream(Bytes("\x98"), {}, Bytes("\xF0\x9F")).text, "");
}

TEST_F(TextStreamTest, AnswerIsWhatDecodingHasMoreWithItThanWithoutIt) {
  std::mt19937 random(19);
  const std::vector<std::string> parts = {"hello", " the", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xC3\xA9", "a"};
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (size_t count = 1 + random() % 8; count > 0; --count) text += parts[random() % parts.size()];
    const std::vector<int32_t> all = round % 2 == 0 ? tokenizer_->Encode(text, {}) : Bytes(text);
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(random() % (all.size() + 1));
    const std::vector<int32_t> prompt(all.begin(), middle);
    std::string before = tokenizer_->Decode(prompt, true);
    const size_t broken = before.find(std::string(kReplacementCharacter));
    if (broken != std::string::npos) before = before.substr(0, broken);
    ASSERT_EQ(before + Stream({middle, all.end()}, {}, prompt).text, text);
  }
}

TEST_F(TextStreamTest, StopStringMayHoldSpecialTokens) {
  const int32_t end = tokenizer_->SpecialToken("<|end|>").value();
  const auto with_end = [end](std::string before, const std::string& behind) {
    std::vector<int32_t> ids = Bytes(before);
    ids.push_back(end);
    for (const int32_t id : Bytes(behind)) ids.push_back(id);
    return ids;
  };
  Outcome outcome = Stream(with_end("ab", "cd"), {"<|end|>"});
  EXPECT_EQ(outcome.text, "ab");
  EXPECT_EQ(outcome.stop_string, "<|end|>");
  outcome = Stream(with_end("ab\n", "cd"), {"\n<|end|>c", "x"});
  EXPECT_EQ(outcome.text, "ab");
  EXPECT_TRUE(outcome.stopped);
  // The text is held back until it is certain that it is not a stop string.
  EXPECT_EQ(Stream(with_end("b", "d"), {"b<|end|>c"}).pieces, (std::vector<std::string>{"", "", "bd", ""}));
  // Written out as text, it is the same string.
  EXPECT_EQ(Stream(Bytes("ab<|end|>cd"), {"b<|end|>"}).text, "a");
  // Strings without special tokens are looked for in the text alone.
  EXPECT_EQ(Stream(with_end("aE", "NDz"), {"END", "<|start|>"}).text, "a");
  EXPECT_EQ(Stream(with_end("aE", "NDz"), {"END", "E<|end|>N"}).stop_string, "E<|end|>N");
}

TEST_F(TextStreamTest, OnlyASpecialTokenThatEndsTheAnswerCanCompleteAStopString) {
  const int32_t end = tokenizer_->SpecialToken("<|end|>").value();
  TextStream with(*tokenizer_, {"b<|end|>"}, {});
  with.Add('a');
  with.Add('b');
  EXPECT_TRUE(with.AddEnd(end).stopped);
  EXPECT_EQ(with.Finish().text, "");
  TextStream without(*tokenizer_, {"bc"}, {});
  without.Add('b');
  EXPECT_EQ(without.AddEnd('c').text, "");
  EXPECT_EQ(without.Finish().text, "b");
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
