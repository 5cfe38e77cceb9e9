#ifndef PREDICTD_TESTS_GENERATION_GENERATOR_FIXTURE_H_
#define PREDICTD_TESTS_GENERATION_GENERATOR_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/async/task.h"
#include "server/async/worker_pool.h"
#include "server/generation/generator.h"
#include "tests/fakes/fake_generator_model.h"
#include "tests/fakes/letter_tokenizer.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/step_by_step.h"

namespace predictd {

// Follows what a generator tells.
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

// What the caller of a request sees. Reads all the time.
class Reader {
 public:
  explicit Reader(Generator::Request request, int answers = 1)
      : request_(std::move(request)), answers_(static_cast<size_t>(answers)) {
    Detach(Read(*this));
  }

  Generator::Request& request() { return request_; }
  const std::string& text(size_t index = 0) const { return answers_[index].text; }
  const std::vector<SampledToken>& tokens(size_t index = 0) const { return answers_[index].tokens; }
  std::optional<FinishReason> finish_reason(size_t index = 0) const { return answers_[index].finish_reason; }
  bool ended() const { return ended_; }
  const absl::Status& status() const { return status_; }
  GenerationTimings timings() { return request_.answers().timings(); }

 private:
  static Task<> Read(Reader& self) {
    while (true) {
      absl::StatusOr<std::vector<AnswerPiece>> pieces = co_await self.request_.answers().Next();
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

  Generator::Request request_;
  std::vector<AnswerPiece> answers_;
  absl::Status status_;
  bool ended_ = false;
};

// A generator of letters with a fake model, whose steps the test takes.
class GeneratorTest : public testing::Test {
 protected:
  static constexpr int64_t kLetters = 26;

  void Make(GeneratorConfig config = {}, int64_t queue_capacity = 1024) {
    config.vocabulary_size = kLetters;
    if (config.max_length == 0) config.max_length = 400;
    auto model =
        std::make_unique<FakeGeneratorModel>(kLetters, config.slots + config.prefix_slots, config.max_length, record_);
    const Generator::Options options = {
        .config = config, .share = {}, .queue_capacity = queue_capacity, .observer = &counts_};
    generator_ = std::make_shared<Generator>(std::move(model), std::make_shared<LetterTokenizer>(kLetters), nullptr,
                                             options, scheduler_, clock_);
  }

  static std::vector<int32_t> Ids(const std::string& text) { return LetterTokenizer(kLetters).Encode(text, {}); }

  // Takes the likeliest tokens.
  static GenerationRequest Greedy(const std::string& prompt, int64_t max_tokens) {
    GenerationRequest request;
    request.prompt = Ids(prompt);
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    return request;
  }

  // What the model says after the prompt, alone.
  static std::string Expected(const std::string& prompt, int64_t tokens) {
    std::vector<int32_t> ids = Ids(prompt);
    for (int64_t i = 0; i < tokens; ++i) ids.push_back(FakeGeneratorModel::NextToken(ids, kLetters));
    return LetterTokenizer(kLetters).Decode(absl::MakeConstSpan(ids).subspan(Ids(prompt).size()), false);
  }

  std::unique_ptr<Reader> Start(GenerationRequest request) {
    const int answers = request.answers;
    absl::StatusOr<Generator::Request> started = generator_->Start(std::move(request));
    EXPECT_TRUE(started.ok()) << started.status();
    return std::make_unique<Reader>(*std::move(started), answers);
  }

  FakeGeneratorModel::Record record_;
  GeneratorCounts counts_;
  StepByStep scheduler_;
  ManualClock clock_;
  std::shared_ptr<Generator> generator_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_GENERATION_GENERATOR_FIXTURE_H_
