#include "server/serving/generator_metrics.h"

#include <chrono>
#include <utility>

namespace predictd {
class GeneratorMetrics::Version final : public GeneratorObserver {
 public:
  Version(GeneratorMetrics& metrics, const std::string& model, const std::string& version)
      : waiting_(metrics.waiting_.Share({model, version})),
        slots_(metrics.slots_.Share({model, version})),
        cached_tokens_(metrics.cached_tokens_.Share({model, version})),
        first_token_seconds_(metrics.first_token_seconds_.Share({model, version})),
        next_token_seconds_(metrics.next_token_seconds_.Share({model, version})),
        prefill_seconds_(metrics.step_seconds_.Share({model, version, "prefill"})),
        decode_seconds_(metrics.step_seconds_.Share({model, version, "decode"})),
        step_sequences_(metrics.step_sequences_.Share({model, version})),
        prompt_tokens_(metrics.prompt_tokens_.Share({model, version})),
        reused_tokens_(metrics.reused_tokens_.Share({model, version})),
        generated_tokens_(metrics.generated_tokens_.Share({model, version})) {}

  ~Version() override { Version::OnSlotsUsed(0, 0); }

  void OnWaitingChange(int64_t by) override { waiting_->Add(static_cast<double>(by)); }
  void OnSlotsUsed(int64_t slots, int64_t cached_tokens) override {
    // Another version of that number may use slots, too, while one replaces the other.
    slots_->Add(static_cast<double>(slots - std::exchange(last_slots_, slots)));
    cached_tokens_->Add(static_cast<double>(cached_tokens - std::exchange(last_cached_tokens_, cached_tokens)));
  }
  void OnPrefill(int64_t tokens, Duration took) override {
    prompt_tokens_->Increment(static_cast<uint64_t>(tokens));
    prefill_seconds_->Observe(ToSeconds(took));
  }
  void OnDecode(int64_t sequences, Duration took) override {
    step_sequences_->Observe(static_cast<double>(sequences));
    decode_seconds_->Observe(ToSeconds(took));
  }
  void OnPrefixReused(int64_t tokens) override { reused_tokens_->Increment(static_cast<uint64_t>(tokens)); }
  void OnFirstToken(Duration since_arrival) override {
    generated_tokens_->Increment();
    first_token_seconds_->Observe(ToSeconds(since_arrival));
  }
  void OnNextToken(Duration since_last) override {
    generated_tokens_->Increment();
    next_token_seconds_->Observe(ToSeconds(since_last));
  }

 private:
  std::shared_ptr<Gauge> waiting_;
  std::shared_ptr<Gauge> slots_;
  std::shared_ptr<Gauge> cached_tokens_;
  std::shared_ptr<Histogram> first_token_seconds_;
  std::shared_ptr<Histogram> next_token_seconds_;
  std::shared_ptr<Histogram> prefill_seconds_;
  std::shared_ptr<Histogram> decode_seconds_;
  std::shared_ptr<Histogram> step_sequences_;
  std::shared_ptr<Counter> prompt_tokens_;
  std::shared_ptr<Counter> reused_tokens_;
  std::shared_ptr<Counter> generated_tokens_;
  // What OnSlotsUsed, which one thread at a time calls, was told last.
  int64_t last_slots_ = 0;
  int64_t last_cached_tokens_ = 0;
};

GeneratorMetrics::GeneratorMetrics(MetricsRegistry& registry)
    : waiting_(registry.AddGauge("predictd_generator_waiting", "Answers that wait for a slot.", {"model", "version"})),
      slots_(registry.AddGauge("predictd_generator_slots_used", "Answers that are being generated.",
                               {"model", "version"})),
      cached_tokens_(registry.AddGauge("predictd_generator_cache_tokens",
                                       "Tokens of running answers and their prompts in the model's cache.",
                                       {"model", "version"})),
      first_token_seconds_(registry.AddHistogram("gen_ai_server_time_to_first_token_seconds",
                                                 "From a request's arrival to the first token of an answer.",
                                                 ExponentialBounds(0.001, 2, 18), {"model", "version"})),
      next_token_seconds_(registry.AddHistogram("gen_ai_server_time_per_output_token_seconds",
                                                "From a token of an answer to its next one.",
                                                ExponentialBounds(0.0005, 2, 16), {"model", "version"})),
      step_seconds_(registry.AddHistogram("predictd_generator_step_seconds",
                                          "How long the model computed a part of a prompt, or a token of each answer.",
                                          ExponentialBounds(0.0005, 2, 16), {"model", "version", "phase"})),
      step_sequences_(registry.AddHistogram("predictd_generator_step_sequences", "Answers that got a token together.",
                                            ExponentialBounds(1, 2, 11), {"model", "version"})),
      prompt_tokens_(registry.AddCounter("predictd_generator_prompt_tokens_total", "Tokens of prompts computed.",
                                         {"model", "version"})),
      reused_tokens_(registry.AddCounter("predictd_generator_reused_prompt_tokens_total",
                                         "Tokens of prompts taken over from earlier requests.", {"model", "version"})),
      generated_tokens_(
          registry.AddCounter("predictd_generator_tokens_total", "Tokens generated.", {"model", "version"})) {}

std::shared_ptr<GeneratorObserver> GeneratorMetrics::ForVersion(const std::string& model, int64_t version) {
  return std::make_shared<Version>(*this, model, std::to_string(version));
}

}  // namespace predictd
