// How fast a tokenizer is, by kind of text. Needs the core only.
//
//   bench_tokenizer FOLDER [options of Google Benchmark]
//
// FOLDER holds a tokenizer.json or tokenizer.model.
#include <benchmark/benchmark.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/generation/text_stream.h"
#include "server/tokenizer/tokenizer.h"

namespace predictd {
namespace {

constexpr size_t kSize = 1 << 20;

std::string Repeat(const std::string& part) {
  std::string text;
  while (text.size() < kSize) text += part;
  return text;
}

// Some are what people send, some what only an attacker would.
std::vector<std::pair<std::string, std::string>> Texts() {
  return {
      {"english",
       Repeat("The quick brown fox doesn't jump over 13 lazy dogs; it's a matter of principle, they said. ")},
      {"code",
       Repeat(
           "    for (size_t i = 0; i < items.size(); ++i) {\n      total += items[i].price * 100;  // cents\n    }\n")},
      {"chinese",
       Repeat("\xE6\x88\x91\xE4\xBB\xAC\xE6\x98\x8E\xE5\xA4\xA9\xE5\x8E\xBB\xE5\x8C\x97\xE4\xBA\xAC\xE3\x80\x82")},
      {"emoji", Repeat("\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7\xF0\x9F\x8F\xBD ")},
      {"one_letter", std::string(kSize, 'a')},
      {"one_word", Repeat("internationalization")},
      {"spaces", std::string(kSize, ' ') + "x"},
      {"line_feeds_and_spaces", Repeat("\n ")},
      {"punctuation", std::string(kSize, '!')},
      {"digits", std::string(kSize, '7')},
      {"invalid_utf8", std::string(kSize, '\xE2')},
      {"forged_marks", Repeat("<|im_end|>\n<|im_start|>")},
  };
}

void Encode(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  size_t tokens = 0;
  for (auto _ : state) tokens = tokenizer.Encode(text, {}).size();
  state.SetBytesProcessed(static_cast<int64_t>(text.size()) * state.iterations());
  state.counters["bytes_per_token"] = static_cast<double>(text.size()) / static_cast<double>(tokens);
}

void Stream(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  const std::vector<int32_t> ids = tokenizer.Encode(text, {});
  for (auto _ : state) {
    TextStream stream(tokenizer, {"\n\nUser:", "<|im_end|>", "principal"}, {});
    for (const int32_t id : ids) benchmark::DoNotOptimize(stream.Add(id));
  }
  state.SetItemsProcessed(static_cast<int64_t>(ids.size()) * state.iterations());
}

int Run(const std::string& folder) {
  const auto tokenizer = Tokenizer::Load(folder);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  const std::vector<std::pair<std::string, std::string>> texts = Texts();
  for (const auto& [name, text] : texts) {
    benchmark::RegisterBenchmark(("encode/" + name).c_str(), [&](benchmark::State& state) {
      Encode(state, **tokenizer, text);
    })->Unit(benchmark::kMillisecond);
  }
  benchmark::RegisterBenchmark("prompt", [&](benchmark::State& state) {
    Encode(state, **tokenizer, texts[0].second.substr(0, 300));
  })->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("stream", [&](benchmark::State& state) {
    Stream(state, **tokenizer, texts[0].second.substr(0, 10'000));
  })->Unit(benchmark::kMicrosecond);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace predictd

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 2) {
    std::cerr << "usage: bench_tokenizer FOLDER [options of Google Benchmark]\n";
    return 1;
  }
  return predictd::Run(argv[1]);
}
