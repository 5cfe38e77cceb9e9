#ifndef PREDICTD_TESTS_TOKENIZER_TOY_TOKENIZER_H_
#define PREDICTD_TESTS_TOKENIZER_TOY_TOKENIZER_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/tokenizer/bpe_tokenizer.h"

namespace predictd {

// A character by which byte-level vocabularies write a byte.
inline std::string AlphabetCharacter(int byte) {
  const bool visible = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
  int code = byte;
  if (!visible) code = 0x100 + (byte <= 0x20 ? byte : byte <= 0xA0 ? byte - 0x7F + 0x21 : 0x43);
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// The file of a byte-level tokenizer: ids 0 to 255 are the bytes, then come the merges, then <|end|> and <|start|>.
inline nlohmann::json ToyTokenizerJson(const std::vector<std::pair<std::string, std::string>>& merges) {
  nlohmann::json vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary[AlphabetCharacter(byte)] = byte;
  nlohmann::json pairs = nlohmann::json::array();
  for (const auto& [left, right] : merges) {
    vocabulary[left + right] = vocabulary.size();
    pairs.push_back({left, right});
  }
  const auto special = [](const std::string& content, size_t id) {
    return nlohmann::json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                          {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  const nlohmann::json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const size_t size = vocabulary.size();
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", {special("<|end|>", size), special("<|start|>", size + 1)}},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", vocabulary},
            {"merges", pairs}}}};
}

// A tokenizer that joins letters of "the" and "hello", pairs of spaces, and the bytes of U+20AC.
inline std::shared_ptr<const Tokenizer> ToyTokenizer() {
  const std::string euro[] = {AlphabetCharacter(0xE2), AlphabetCharacter(0x82), AlphabetCharacter(0xAC)};
  const std::string space = AlphabetCharacter(' ');
  return *ParseBpeTokenizer(ToyTokenizerJson({{"h", "e"},
                                              {"t", "he"},
                                              {space, "the"},
                                              {"l", "l"},
                                              {"he", "ll"},
                                              {"hell", "o"},
                                              {space, space},
                                              {"a", "a"},
                                              {"aa", "aa"},
                                              {euro[0], euro[1]},
                                              {euro[0] + euro[1], euro[2]}})
                                .dump());
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_TOKENIZER_TOY_TOKENIZER_H_
