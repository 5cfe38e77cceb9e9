#include "server/tokenizer/sentencepiece_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/generation/text_stream.h"
#include "server/tokenizer/sentencepiece_model.h"

namespace predictd {
namespace {

using Type = SentencePieceModel::Piece::Type;
using Ids = std::vector<int32_t>;

// Writers of the wire format. No number here takes more than two bytes.
std::string Varint(uint64_t field, uint64_t value) {
  const std::string tag =
      field < 16 ? std::string(1, static_cast<char>(field << 3))
                 : std::string{static_cast<char>(0x80 | ((field << 3) & 0x7F)), static_cast<char>(field >> 4)};
  return tag + static_cast<char>(value);
}

std::string Bytes(uint64_t field, const std::string& bytes) {
  std::string size(1, static_cast<char>(bytes.size()));
  if (bytes.size() >= 0x80) {
    size = {static_cast<char>(0x80 | (bytes.size() & 0x7F)), static_cast<char>(bytes.size() >> 7)};
  }
  return absl::StrCat(std::string(1, static_cast<char>((field << 3) | 2)), size, bytes);
}

std::string Piece(const std::string& text, float score, Type type) {
  std::string bytes(sizeof(score), ' ');
  memcpy(bytes.data(), &score, sizeof(score));
  return Bytes(
      1, absl::StrCat(Bytes(1, text), std::string(1, (2 << 3) | 5), bytes, Varint(3, static_cast<uint64_t>(type))));
}

const std::string kSpace = "\xE2\x96\x81";

// Ids 0 to 2 are <unk>, <s> and </s>, then come <mark>, the spaces "  ", the 256 bytes, and pieces of "hello" and "a".
std::string Model(SentencePieceModel::Type type, bool dummy_prefix = true) {
  std::string model =
      absl::StrCat(Piece("<unk>", 0, Type::kUnknown), Piece("<s>", 0, Type::kControl), Piece("</s>", 0, Type::kControl),
                   Piece("<mark>", 0, Type::kUserDefined), Piece(kSpace + kSpace, 0, Type::kUserDefined));
  for (int byte = 0; byte < 256; ++byte)
    absl::StrAppend(&model, Piece(absl::StrFormat("<0x%02X>", byte), 0, Type::kByte));
  float score = 0;
  for (const char* text : {"he", "ll", "hell", "hello", "aa", "aaaa"}) {
    absl::StrAppend(&model, Piece(text, score -= 1, Type::kNormal));
  }
  absl::StrAppend(&model, Piece(kSpace + "hello", score -= 1, Type::kNormal));
  for (const std::string& text :
       {std::string("h"), std::string("e"), std::string("l"), std::string("o"), std::string("a"), kSpace}) {
    absl::StrAppend(&model, Piece(text, score -= 10, Type::kNormal));
  }
  const std::string trainer = absl::StrCat(Varint(3, static_cast<uint64_t>(type)), Varint(35, 1));
  const std::string normalizer = absl::StrCat(Varint(3, dummy_prefix ? 1 : 0), Varint(4, 0));
  return absl::StrCat(model, Bytes(2, trainer), Bytes(3, normalizer));
}

std::shared_ptr<const Tokenizer> Parse(const std::string& model) {
  const auto tokenizer = ParseSentencePieceTokenizer(model);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *tokenizer;
}

class SentencePieceTokenizerTest : public testing::TestWithParam<SentencePieceModel::Type> {
 protected:
  std::vector<std::string> Pieces(const std::string& text) const {
    std::vector<std::string> pieces;
    for (const int32_t id : tokenizer_->Encode(text, {})) pieces.emplace_back(tokenizer_->TokenBytes(id));
    return pieces;
  }

  const std::shared_ptr<const Tokenizer> tokenizer_ = Parse(Model(GetParam()));
};

TEST_P(SentencePieceTokenizerTest, TextBecomesItsBestPieces) {
  EXPECT_THAT(Pieces("hello hell"), testing::ElementsAre(" hello", " ", "hell"));
  EXPECT_THAT(Pieces("aaaa aa"), testing::ElementsAre(" ", "aaaa", " ", "aa"));
  EXPECT_THAT(Pieces("a  a"), testing::ElementsAre(" ", "a", "  ", "a"));
  EXPECT_THAT(Pieces("\xC3\xA9"), testing::ElementsAre(" ", "\xC3", "\xA9"));
  EXPECT_TRUE(Pieces("").empty());
}

TEST_P(SentencePieceTokenizerTest, DecodingGivesTheTextBack) {
  std::mt19937 random(5);
  const std::vector<std::string> parts = {"hello", "a", " ", "  ", "<mark>", "</s>", "\xC3\xA9", "\n", kSpace, "x"};
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (size_t count = random() % 12; count > 0; --count) text += parts[random() % (parts.size() - 2)];
    const Ids ids = tokenizer_->Encode(text, {});
    ASSERT_EQ(tokenizer_->Decode(ids, false), text);
    TextStream stream(*tokenizer_, {}, {});
    std::string streamed;
    for (const int32_t id : ids) streamed += stream.Add(id).text;
    ASSERT_EQ(streamed + stream.Finish().text, text);
  }
}

TEST_P(SentencePieceTokenizerTest, SpaceThatContinuesAPromptIsText) {
  const Ids prompt = tokenizer_->Encode("hello", {});
  const Ids word = tokenizer_->Encode("hello a", {});
  const auto answer = [&](const Ids& before) {
    TextStream stream(*tokenizer_, {}, before);
    std::string text;
    for (size_t i = prompt.size(); i < word.size(); ++i) text += stream.Add(word[i]).text;
    return text + stream.Finish().text;
  };
  EXPECT_EQ(answer(prompt), " a");
  // Without any text before it, it is the tokenizer's own.
  EXPECT_EQ(answer({}), "a");
  EXPECT_EQ(answer({1}), "a");
}

TEST_P(SentencePieceTokenizerTest, ControlTokensAndMarksCountOnlyWhereTheyAreTrusted) {
  const std::string text = "<s>hello<mark></s>";
  const Ids all = tokenizer_->Encode(text, {{0, text.size()}});
  EXPECT_EQ(all.size(), 4U);
  EXPECT_EQ(all.front(), 1);
  EXPECT_EQ(all[2], 3);
  EXPECT_EQ(all.back(), 2);
  const Ids none = tokenizer_->Encode(text, {});
  for (const int32_t special : {1, 2, 3}) EXPECT_THAT(none, testing::Not(testing::Contains(special)));
  EXPECT_EQ(tokenizer_->Decode(none, true), text);
  EXPECT_EQ(tokenizer_->Decode(all, true), "hello");
  EXPECT_EQ(tokenizer_->SpecialToken("<mark>"), 3);
  EXPECT_EQ(tokenizer_->SpecialToken("hello"), std::nullopt);
  EXPECT_EQ(tokenizer_->prefix(), Ids{1});
}

TEST_P(SentencePieceTokenizerTest, TextAfterAMarkGoesOnAndAfterAControlTokenItBegins) {
  const auto pieces = [this](const std::string& text) {
    const Ids ids = tokenizer_->Encode(text, {{0, text.size()}});
    std::vector<std::string> pieces;
    for (const int32_t id : ids) pieces.emplace_back(tokenizer_->TokenBytes(id));
    return pieces;
  };
  EXPECT_THAT(pieces("a<mark>hello"), testing::ElementsAre(" ", "a", "<mark>", "hello"));
  EXPECT_THAT(pieces("a</s>hello"), testing::ElementsAre(" ", "a", "</s>", " hello"));
}

TEST_P(SentencePieceTokenizerTest, LongTextsTakeLinearTime) {
  const size_t size = 250'000;
  for (const std::string& text : {std::string(size, 'a'), std::string(size, ' '), std::string(size, '<')}) {
    const absl::Time start = absl::Now();
    EXPECT_FALSE(tokenizer_->Encode(text, {}).empty());
    EXPECT_LT(absl::Now() - start, absl::Seconds(30)) << text.substr(0, 5);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, SentencePieceTokenizerTest,
                         testing::Values(SentencePieceModel::Type::kUnigram, SentencePieceModel::Type::kBpe),
                         [](const auto& info) {
                           return info.param == SentencePieceModel::Type::kBpe ? "Bpe" : "Unigram";
                         });

TEST(SentencePieceErrorsTest, WhatIsWrongOrNotSupportedIsSaid) {
  const std::string good = Model(SentencePieceModel::Type::kUnigram);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "there is no unknown piece"},
      {good.substr(0, good.size() - 1), "not a model"},
      {"text", "not a model"},
      {good + Bytes(2, Varint(3, 4)), "expected a unigram or BPE model"},
      {good + Bytes(3, Varint(5, 0)), "escape_whitespaces"},
      {good + Bytes(3, Bytes(2, "broken")), "precompiled_charsmap is broken"},
      {good + Bytes(5, Bytes(2, "map")), "denormalizer"},
      {good + Bytes(2, Varint(35, 0)), "256 byte pieces"},
      {good + Bytes(2, Bytes(35, "x")), "not a model"},
      {good + Piece("", 0, Type::kNormal), "piece 274: expected a text"},
      {good + Piece("\xFF", 0, Type::kNormal), "piece 274: expected a text"},
      {good + Piece("<0x0G>", 0, Type::kByte), "piece 274: expected a byte"},
      {good + Piece("x", 0, Type{9}), "piece 274: the type is unknown"},
      {good + Piece("x", std::numeric_limits<float>::quiet_NaN(), Type::kNormal), "piece 274: expected a score"},
  };
  for (const auto& [model, message] : cases) {
    const auto tokenizer = ParseSentencePieceTokenizer(model);
    EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument) << message;
    EXPECT_THAT(std::string(tokenizer.status().message()), testing::HasSubstr(message));
  }
}

// Either it says what is wrong, or it makes a tokenizer that works.
TEST(SentencePieceErrorsTest, BrokenModelsNeverCrash) {
  std::mt19937 random(23);
  // A table of characters that is not one.
  std::string table = std::string("\x40\0\0\0", 4);
  for (int byte = 0; byte < 64; ++byte) table += static_cast<char>(random() % 256);
  table += std::string("x\0yz\0", 5);
  const std::string good = Model(SentencePieceModel::Type::kUnigram) + Bytes(3, Bytes(2, table));
  int parsed = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string model = good;
    for (size_t changes = 1 + random() % 4; changes > 0; --changes) {
      // Mostly near the end, where the settings are.
      const size_t reach = random() % 2 == 0 ? 120 : model.size();
      model[model.size() - 1 - random() % reach] = static_cast<char>(random() % 256);
    }
    const auto tokenizer = ParseSentencePieceTokenizer(model);
    if (!tokenizer.ok()) continue;
    ++parsed;
    const Ids ids = (*tokenizer)->Encode("hello <s> \xC3\xA9  aaa<mark>", {{6, 9}});
    (*tokenizer)->Decode(ids, false);
  }
  EXPECT_GT(parsed, 100);
}

}  // namespace
}  // namespace predictd
