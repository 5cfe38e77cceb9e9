#include "server/tokenizer/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/tokenizer/tokenizer.h"
#include "tests/fakes/temp_folder.h"
#include "tests/tokenizer/toy_tokenizer.h"

namespace predictd {
namespace {

using nlohmann::json;

json Toy() {
  return ToyTokenizerJson({{"h", "e"}});
}

struct Case {
  std::string message;
  std::function<void(json&)> change;
};

TEST(TokenizerJsonTest, WhatIsWrongOrNotSupportedIsNamed) {
  const std::vector<Case> cases = {
      {"colour: unknown key", [](json& file) { file["colour"] = "blue"; }},
      {"version: expected \"1.0\", got \"2.0\"", [](json& file) { file["version"] = "2.0"; }},
      {"model: expected an object", [](json& file) { file.erase("model"); }},
      {"model.type: expected \"BPE\", got \"Unigram\"", [](json& file) { file["model"]["type"] = "Unigram"; }},
      {"model.vocab: expected an object", [](json& file) { file["model"].erase("vocab"); }},
      {"model.vocab['he']: expected an id", [](json& file) { file["model"]["vocab"]["he"] = -1; }},
      {"model.vocab['he']: expected an id", [](json& file) { file["model"]["vocab"]["he"] = 1e9; }},
      {"the id 256 is taken", [](json& file) { file["model"]["vocab"]["twice"] = 256; }},
      {"model.merges: expected a list", [](json& file) { file["model"]["merges"] = "h e"; }},
      {"model.merges[0]: expected two tokens", [](json& file) { file["model"]["merges"][0] = "h e y"; }},
      {"model.merges[0]: expected two tokens",
       [](json& file) {
         file["model"]["merges"][0] = {"h", 1};
       }},
      {"model.merges[0]: 'e?' is not in the vocabulary",
       [](json& file) {
         file["model"]["merges"][0] = {"h", "e?"};
       }},
      {"model.merges[0]: 'eh' is not in the vocabulary",
       [](json& file) {
         file["model"]["merges"][0] = {"e", "h"};
       }},
      {"model.dropout: expected null or 0, got 0.1", [](json& file) { file["model"]["dropout"] = 0.1; }},
      {"model.end_of_word_suffix", [](json& file) { file["model"]["end_of_word_suffix"] = "</w>"; }},
      {"model.continuing_subword_prefix", [](json& file) { file["model"]["continuing_subword_prefix"] = "##"; }},
      {"model.unk_token: expected a token of the vocabulary", [](json& file) { file["model"]["unk_token"] = "<unk>"; }},
      {"model.fuse_unk: expected true or false", [](json& file) { file["model"]["fuse_unk"] = 1; }},
      {"model.cache: unknown key", [](json& file) { file["model"]["cache"] = 1; }},
      {"added_tokens[1].lstrip: missing", [](json& file) { file["added_tokens"][1].erase("lstrip"); }},
      {"added_tokens[1].note: unknown key", [](json& file) { file["added_tokens"][1]["note"] = ""; }},
      {"added_tokens[1]: content: must not be empty", [](json& file) { file["added_tokens"][1]["content"] = ""; }},
      {"added_tokens[1]: the id 257 is taken", [](json& file) { file["added_tokens"][1]["id"] = 257; }},
      {"added_tokens[1]: id: the vocabulary says 256", [](json& file) { file["added_tokens"][1]["content"] = "he"; }},
      {"added_tokens[0]: expected an object", [](json& file) { file["added_tokens"][0] = 7; }},
      {"added_tokens: expected a list", [](json& file) { file["added_tokens"] = 7; }},
      {"normalizer.type: expected NFC",
       [](json& file) {
         file["normalizer"] = {{"type", "BertNormalizer"}};
       }},
      {"normalizer.normalizers[0].strip_left: missing",
       [](json& file) {
         file["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "Strip"}}}}};
       }},
      {"normalizer.pattern: expected either a Regex or a String",
       [](json& file) {
         file["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", ""}};
       }},
      {"pre_tokenizer.type: expected Split",
       [](json& file) {
         file["pre_tokenizer"] = {{"type", "Whitespace"}};
       }},
      {"pre_tokenizer.prepend_scheme: expected always, first or never",
       [](json& file) {
         file["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}};
       }},
      {"decoder.prepend_scheme: expected always, first or never",
       [](json& file) {
         file["decoder"] = {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}};
       }},
      {"decoder.replacement: expected a character",
       [](json& file) {
         file["decoder"] = {{"type", "Metaspace"}, {"replacement", "ab"}};
       }},
      {"decoder.replacement: missing",
       [](json& file) {
         file["decoder"] = {{"type", "Metaspace"}};
       }},
      {"pre_tokenizer.delimiter: expected a character",
       [](json& file) {
         file["pre_tokenizer"] = {{"type", "CharDelimiterSplit"}, {"delimiter", ""}};
       }},
      {"pre_tokenizer.replacement: expected a character",
       [](json& file) {
         file["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", ""}};
       }},
      {"pre_tokenizer.type: missing", [](json& file) { file["pre_tokenizer"] = json::object(); }},
      {"pre_tokenizer.pattern: at character 2",
       [](json& file) {
         file["pre_tokenizer"] = {
             {"type", "Split"}, {"pattern", {{"Regex", "a**"}}}, {"behavior", "Isolated"}, {"invert", false}};
       }},
      {"pre_tokenizer.behavior: 'Merged' is unknown",
       [](json& file) {
         file["pre_tokenizer"] = {
             {"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "Merged"}, {"invert", false}};
       }},
      {"pre_tokenizer.pretokenizers[1].type: expected one ByteLevel",
       [](json& file) {
         const json byte_level = file["pre_tokenizer"];
         file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {byte_level, byte_level}}};
       }},
      {"decoder: expected an object", [](json& file) { file["decoder"] = nullptr; }},
      {"decoder.type: expected ByteLevel",
       [](json& file) {
         file["decoder"] = {{"type", "WordPiece"}};
       }},
      {"post_processor.type: expected TemplateProcessing",
       [](json& file) {
         file["post_processor"] = {{"type", "BertProcessing"}};
       }},
      {"post_processor.single[0]: '<|end|>' is not among the special_tokens",
       [](json& file) {
         const json end = {{"SpecialToken", {{"id", "<|end|>"}, {"type_id", 0}}}};
         file["post_processor"] = {
             {"type", "TemplateProcessing"}, {"single", {end}}, {"special_tokens", json::object()}};
       }},
      {"post_processor.single[1]: tokens behind the text",
       [](json& file) {
         const json end = {{"SpecialToken", {{"id", "<|end|>"}, {"type_id", 0}}}};
         const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
         file["post_processor"] = {{"type", "TemplateProcessing"}, {"single", {text, end}}};
       }},
  };
  ASSERT_TRUE(TokenizerJson::Parse(Toy().dump()).ok());
  for (const Case& wrong : cases) {
    json file = Toy();
    wrong.change(file);
    const absl::StatusOr<TokenizerJson> parsed = TokenizerJson::Parse(file.dump());
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << wrong.message;
    EXPECT_THAT(std::string(parsed.status().message()), testing::HasSubstr(wrong.message));
  }
}

TEST(TokenizerJsonTest, WhatIsNoJsonIsRefused) {
  for (const std::string text : {"", "{", "[]", "7", "{\"a\": \xFF}", "{} {}"}) {
    EXPECT_EQ(TokenizerJson::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  std::string deep;
  for (int depth = 0; depth < 100'000; ++depth) deep += R"({"normalizer":)";
  EXPECT_THAT(std::string(TokenizerJson::Parse(deep).status().message()), testing::HasSubstr("nested too deeply"));
}

// Either it says what is wrong, or it makes a tokenizer that works.
TEST(TokenizerJsonTest, BrokenFilesNeverCrash) {
  std::mt19937 random(17);
  const std::string good = Toy().dump();
  const std::string bytes = "{}[]\":,0n\\tx \xC3\xFF-1";
  int parsed = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string file = good;
    for (size_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t place = random() % file.size();
      switch (random() % 3) {
        case 0:
          file[place] = bytes[random() % bytes.size()];
          break;
        case 1:
          file.erase(place, 1 + random() % 40);
          break;
        default:
          file.insert(place, file.substr(random() % file.size(), random() % 40));
      }
    }
    const auto tokenizer = ParseBpeTokenizer(file);
    if (!tokenizer.ok()) {
      EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    ++parsed;
    EXPECT_FALSE((*tokenizer)->Encode("hello <|end|>", {{0, 13}}).empty());
  }
  EXPECT_GT(parsed, 0);
}

// Values of another type, and keys that are gone, everywhere in the file.
TEST(TokenizerJsonTest, EveryValueMayBeWrong) {
  json good = Toy();
  good["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "Prepend"}, {"prepend", "_"}}}}};
  std::vector<json::json_pointer> places;
  const std::function<void(const json&, const json::json_pointer&)> collect = [&](const json& value,
                                                                                  const json::json_pointer& place) {
    if (!place.empty()) places.push_back(place);
    // One byte of the vocabulary is like another.
    if (place.to_string() == "/model/vocab" || !value.is_structured()) return;
    for (const auto& [key, inner] : value.items()) {
      collect(inner, value.is_array() ? place / std::stoul(key) : place / key);
    }
  };
  collect(good, json::json_pointer());
  ASSERT_GT(places.size(), 40U);
  for (const json::json_pointer& place : places) {
    for (const json& wrong : {json(nullptr), json(-1.5), json("?"), json({7}), json({{"type", "?"}}), json(true)}) {
      json file = good;
      file[place] = wrong;
      const auto tokenizer = ParseBpeTokenizer(file.dump());
      if (tokenizer.ok()) (*tokenizer)->Encode("hello", {});
    }
    json file = good;
    json& parent = file[place.parent_pointer()];
    parent.is_array() ? parent.erase(std::stoul(place.back())) : void(parent.erase(place.back()));
    const auto tokenizer = ParseBpeTokenizer(file.dump());
    if (tokenizer.ok()) (*tokenizer)->Encode("hello", {});
  }
}

TEST(TokenizerLoadTest, FolderWithoutATokenizerIsNotFound) {
  const TempFolder folder;
  EXPECT_EQ(Tokenizer::Load(folder.path()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Tokenizer::Load(folder.path() / "missing").status().code(), absl::StatusCode::kNotFound);
}

TEST(TokenizerLoadTest, ErrorNamesTheFile) {
  const TempFolder folder;
  folder.Write("tokenizer.model", "\xFF\xFF");
  EXPECT_THAT(std::string(Tokenizer::Load(folder.path()).status().message()), testing::StartsWith("tokenizer.model: "));
  folder.Write("tokenizer.json", "{}");
  EXPECT_THAT(std::string(Tokenizer::Load(folder.path()).status().message()), testing::StartsWith("tokenizer.json: "));
  folder.Write("tokenizer.json", Toy().dump());
  EXPECT_TRUE(Tokenizer::Load(folder.path()).ok());
}

}  // namespace
}  // namespace predictd
