// What it costs to choose the next token of one sequence, by options: run bench_sampler. The argument is the
// vocabulary.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <vector>

#include "server/sampling/sampler.h"

namespace predictd {
namespace {

constexpr int64_t kSmolLm2 = 49152;

// As a language model's: few tokens are likely, most are far below. `spread` is the standard deviation of the others.
std::vector<float> Logits(int64_t vocabulary, float spread) {
  std::mt19937 random(1);
  std::normal_distribution<float> common(0, spread);
  std::vector<float> logits(static_cast<size_t>(vocabulary));
  for (float& logit : logits) logit = common(random);
  for (int i = 0; i < 30; ++i) logits[random() % logits.size()] = 12.0F + static_cast<float>(random() % 800) / 100;
  return logits;
}

// 16 sequences that are sampled one after the other, as in a step: their logits do not fit into the innermost cache.
void Sample(benchmark::State& state, SamplingOptions options, float spread = 3) {
  constexpr size_t kSequences = 16;
  const int64_t vocabulary = state.range(0);
  const std::vector<float> original = Logits(vocabulary, spread);
  std::vector<std::vector<float>> logits(kSequences, original);
  std::vector<Sampler> samplers;
  for (options.seed = 0; options.seed < kSequences; ++options.seed) {
    samplers.push_back(*Sampler::Create(options, vocabulary, {}));
  }
  SamplingWorkspace workspace;
  size_t sequence = 0;
  while (state.KeepRunning()) {
    absl::StatusOr<SampledToken> token = samplers[sequence].Next(absl::MakeSpan(logits[sequence]), workspace);
    benchmark::DoNotOptimize(token);
    if (++sequence < kSequences) continue;
    // Penalties and excluded tokens have changed some.
    state.PauseTiming();
    std::fill(logits.begin(), logits.end(), original);
    sequence = 0;
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations());
}

const auto kPenalties = SamplingOptions{.repetition_penalty = 1.1, .presence_penalty = 0.2, .frequency_penalty = 0.2};

BENCHMARK_CAPTURE(Sample, greedy, {.temperature = 0})->Arg(kSmolLm2)->Arg(151936);
BENCHMARK_CAPTURE(Sample, temperature, {.temperature = 0.8})->Arg(kSmolLm2)->Arg(151936);
BENCHMARK_CAPTURE(Sample, top_k_40, {.temperature = 0.8, .top_k = 40})->Arg(kSmolLm2)->Arg(151936);
BENCHMARK_CAPTURE(Sample, top_k_40_top_p, {.temperature = 0.8, .top_k = 40, .top_p = 0.95})->Arg(kSmolLm2);
BENCHMARK_CAPTURE(Sample, top_k_5000, {.temperature = 0.8, .top_k = 5000})->Arg(kSmolLm2);
BENCHMARK_CAPTURE(Sample, top_p, {.temperature = 0.8, .top_p = 0.95})->Arg(kSmolLm2)->Arg(151936);
BENCHMARK_CAPTURE(Sample, top_p_unsure_model, {.temperature = 1.5, .top_p = 0.95}, 2.5F)->Arg(kSmolLm2);
BENCHMARK_CAPTURE(Sample, top_p_flat, {.temperature = 10, .top_p = 0.95})->Arg(kSmolLm2);
BENCHMARK_CAPTURE(Sample, min_p, {.temperature = 0.8, .min_p = 0.05})->Arg(kSmolLm2);
BENCHMARK_CAPTURE(Sample, penalties, kPenalties)->Arg(kSmolLm2);
BENCHMARK_CAPTURE(Sample, greedy_logprobs_5, {.temperature = 0, .logprobs = true, .top_logprobs = 5})->Arg(kSmolLm2);

}  // namespace
}  // namespace predictd
