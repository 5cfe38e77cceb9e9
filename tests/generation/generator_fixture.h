#ifndef PREDICTD_TESTS_GENERATION_GENERATOR_FIXTURE_H_
#define PREDICTD_TESTS_GENERATION_GENERATOR_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/async/stop.h"
#include "server/async/task.h"
#include "server/async/worker_pool.h"
#include "server/generation/generator.h"
#include "tests/fakes/fake_generator_model.h"
#include "tests/fakes/letter_tokenizer.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/step_by_step.h"

namespace predictd {

// Records what a generator reports.
class GeneratorCounts final : public GeneratorObserver {
 public:
  void OnWaitingChange(int64_t by) override { waiting += by; }
  void OnSlotsUsed(int64_t used, int64_t tokens) override {
    slots = used;
    cached_tokens = tokens;
  }
  void OnPrefill(int64_t tokens, Duration /*took*/) override { prefilled += tokens; }
  void OnDecode(int64_t sequences, Duration /*took*/) override { decoded += sequences; }
  void OnPrefixReused(int64_t tokens) override { reused += tokens; }
  void OnFirstToken(Duration since_arrival) override { first_tokens.push_back(since_arrival); }
  void OnNextToken(Duration /*since_last*/) override { ++next_tokens; }

  int64_t waiting = 0;
  int64_t slots = 0;
  int64_t cached_tokens = 0;
  int64_t prefilled = 0;
  int64_t decoded = 0;
  int64_t reused = 0;
  std::vector<Duration> first_tokens;
  int64_t next_tokens = 0;
};

// What the caller of a request sees. It reads all the time, and goes when it is destroyed.
class Reader {
 public:
  Reader(Generator& generator, GenerationRequest request) : answers_(static_cast<size_t>(request.options.answers)) {
    Detach(Read(*this, generator, std::move(request)));
  }
  ~Reader() { Stop(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void Stop(StopReason reason = StopReason::kCancelled) { stop_.RequestStop(reason); }

  const std::string& text(size_t index = 0) const { return answers_[index].text; }
  const std::vector<SampledToken>& tokens(size_t index = 0) const { return answers_[index].tokens; }
  std::optional<FinishReason> finish_reason(size_t index = 0) const { return answers_[index].finish_reason; }
  bool ended() const { return ended_; }
  const absl::Status& status() const { return status_; }
  GenerationTimings timings() { return running_->timings(); }
  const EncodingTime& encoding() const { return encoding_; }

 private:
  static Task<> Read(Reader& self, Generator& generator, GenerationRequest request) {
    Task<absl::StatusOr<RunningAnswers>> start = generator.Start(std::move(request), self.stop_, &self.encoding_);
    absl::StatusOr<RunningAnswers> running = co_await start;
    if (!running.ok()) {
      self.status_ = running.status();
      self.ended_ = true;
      co_return;
    }
    self.running_ = *std::move(running);
    while (true) {
      absl::StatusOr<std::vector<AnswerPiece>> pieces = co_await self.running_->Next();
      if (!pieces.ok() || pieces->empty()) {
        self.status_ = pieces.status();
        self.ended_ = true;
        co_return;
      }
      for (AnswerPiece& piece : *pieces) {
        AnswerPiece& answer = self.answers_[static_cast<size_t>(piece.index)];
        answer.text += piece.text;
        for (SampledToken& token : piece.tokens) answer.tokens.push_back(std::move(token));
        if (piece.finish_reason.has_value()) answer.finish_reason = piece.finish_reason;
      }
    }
  }

  StopSource stop_;
  EncodingTime encoding_;
  std::optional<RunningAnswers> running_;
  std::vector<AnswerPiece> answers_;
  absl::Status status_;
  bool ended_ = false;
};

// A generator of letters with a fake model; the test runs its steps.
class GeneratorTest : public testing::Test {
 protected:
  static constexpr int64_t kLetters = 26;

  // The epoch stands for a time that was not reached.
  GeneratorTest() { clock_.Advance(std::chrono::milliseconds(1)); }

  void Make(GeneratorConfig config = {}, int64_t queue_capacity = 1024,
            std::shared_ptr<const Tokenizer> tokenizer = std::make_shared<LetterTokenizer>(kLetters)) {
    config.vocabulary_size = kLetters;
    if (config.max_length == 0) config.max_length = 400;
    auto model =
        std::make_unique<FakeGeneratorModel>(kLetters, config.slots + config.prefix_slots, config.max_length, record_);
    const Generator::Options options = {
        .config = config, .share = {}, .queue_capacity = queue_capacity, .observer = &counts_};
    generator_ =
        std::make_shared<Generator>(std::move(model), std::move(tokenizer), nullptr, options, scheduler_, clock_);
  }

  static std::vector<int32_t> Ids(absl::string_view text) { return LetterTokenizer(kLetters).Encode(text, {}); }

  // A request that takes the likeliest tokens. The prompt must outlive its start.
  static GenerationRequest Greedy(absl::string_view prompt, int64_t max_tokens) {
    GenerationRequest request;
    request.prompt = TextPrompt{prompt};
    request.max_tokens = max_tokens;
    request.options.sampling.temperature = 0;
    return request;
  }

  // A prompt of the same tokens which is so long that it waits for a worker.
  static std::string Long(absl::string_view prompt) { return absl::StrCat(prompt, std::string(2000, ' ')); }

  // What the model generates after the prompt if it runs alone.
  static std::string Expected(absl::string_view prompt, int64_t tokens) {
    std::vector<int32_t> ids = Ids(prompt);
    for (int64_t i = 0; i < tokens; ++i) ids.push_back(FakeGeneratorModel::NextToken(ids, kLetters));
    return LetterTokenizer(kLetters).Decode(absl::MakeConstSpan(ids).subspan(Ids(prompt).size()), false);
  }

  std::unique_ptr<Reader> Start(GenerationRequest request) {
    return std::make_unique<Reader>(*generator_, std::move(request));
  }

  // Starts a request whose answers nobody reads.
  static Task<> StartInto(Generator& generator, GenerationRequest request, StopSource& stop,
                          std::optional<absl::StatusOr<RunningAnswers>>& started) {
    Task<absl::StatusOr<RunningAnswers>> start = generator.Start(std::move(request), stop);
    started.emplace(co_await start);
  }

  FakeGeneratorModel::Record record_;
  GeneratorCounts counts_;
  StepByStep scheduler_;
  ManualClock clock_;
  std::shared_ptr<Generator> generator_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_GENERATION_GENERATOR_FIXTURE_H_
