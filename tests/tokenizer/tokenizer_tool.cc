// Encodes and decodes what it reads, so that a test can compare with another tokenizer.
//
//   tokenizer_tool FOLDER < REQUESTS > ANSWERS
//
// A request is a line of JSON: {"text": "base64", "trusted": [[0, 5]]}; without `trusted` no byte is. Its answer is
// {"ids": [...], "text": "base64", "without_special": "base64"}, the ids decoded again; or {"error": "..."} if FOLDER
// cannot be loaded. {"ids": [...]} is only decoded.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "server/tokenizer/tokenizer.h"

namespace predictd {
namespace {

using nlohmann::json;

std::string ToBase64(const std::string& bytes) {
  return absl::Base64Escape(bytes);
}

json Answer(const Tokenizer& tokenizer, const json& request) {
  std::vector<int32_t> ids;
  if (request.contains("ids")) {
    ids = request["ids"].get<std::vector<int32_t>>();
  } else {
    std::string text;
    if (!absl::Base64Unescape(request.at("text").get<std::string>(), &text)) return {{"error", "not base64"}};
    std::vector<Tokenizer::Range> trusted;
    for (const json& range : request.value("trusted", json::array())) {
      trusted.push_back({range[0].get<size_t>(), range[1].get<size_t>()});
    }
    ids = tokenizer.Encode(text, trusted);
  }
  return {{"ids", ids},
          {"text", ToBase64(tokenizer.Decode(ids, false))},
          {"without_special", ToBase64(tokenizer.Decode(ids, true))}};
}

int Run(const std::string& folder) {
  const auto tokenizer = Tokenizer::Load(folder);
  if (!tokenizer.ok()) {
    std::cout << json({{"error", tokenizer.status().ToString()}}) << "\n";
    return 0;
  }
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << Answer(**tokenizer, json::parse(line)) << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace predictd

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: tokenizer_tool FOLDER\n";
    return 1;
  }
  return predictd::Run(argv[1]);
}
