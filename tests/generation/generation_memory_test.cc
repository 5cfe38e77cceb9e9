// What remains of requests when there is no memory for them: every allocation between a prompt and the last token fails
// in turn, alone and together with all that follow it.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/async/fair_queue.h"
#include "server/async/task.h"
#include "tests/fakes/failing_allocations.h"
#include "tests/generation/generator_fixture.h"

namespace predictd {
namespace {

// Runs steps when it is told to. As in the pool, adding a source that is ready needs no memory.
class QueueScheduler final : public WorkScheduler {
 public:
  void Ready(std::shared_ptr<WorkSource> source) override { queue_.Add(std::move(source)); }
  void ReadyAt(std::shared_ptr<WorkSource> source, TimePoint /*when*/) override { queue_.Add(std::move(source)); }
  double WorkersFor(const WorkSource& /*source*/) const override { return 1; }

  void Finish() {
    while (!queue_.empty()) {
      const FairQueue::Turn turn = queue_.Take();
      turn.source->RunStep();
      queue_.Ended(turn, std::chrono::milliseconds(1));
    }
  }

 private:
  FairQueue queue_{1};
};

struct Caller {
  StopSource stop;
  int ends = 0;
  absl::Status status;
  std::string text;
};

// Goes from the text to the last token.
Task<absl::Status> Generate(Caller& caller, Generator& generator, GenerationRequest request) {
  Task<absl::StatusOr<RunningAnswers>> start = generator.Start(std::move(request), caller.stop);
  absl::StatusOr<RunningAnswers> running = co_await start;
  if (!running.ok()) co_return running.status();
  while (true) {
    Task<absl::StatusOr<std::vector<AnswerPiece>>> next = running->Next();
    const absl::StatusOr<std::vector<AnswerPiece>> pieces = co_await next;
    if (!pieces.ok() || pieces->empty()) co_return pieces.status();
    for (const AnswerPiece& piece : *pieces) caller.text += piece.text;
  }
}

// Created before memory runs out.
const absl::Status& NoMemory() {
  static const absl::Status status = absl::ResourceExhaustedError("no memory");
  return status;
}

Task<> Call(Caller& caller, Generator& generator, GenerationRequest request) {
  try {
    Task<absl::Status> generate = Generate(caller, generator, std::move(request));
    caller.status = co_await generate;
  } catch (const std::bad_alloc&) {
    caller.status = NoMemory();
  }
  ++caller.ends;
}

class GenerationMemoryTest : public GeneratorTest {
 protected:
  GenerationMemoryTest() {
    const GeneratorConfig config = {
        .vocabulary_size = kLetters, .max_length = 200, .slots = 2, .prefix_slots = 1, .end_token_ids = {3}};
    generator_ = std::make_shared<Generator>(
        std::make_unique<FakeGeneratorModel>(kLetters, config.slots + config.prefix_slots, config.max_length, record_),
        std::make_shared<LetterTokenizer>(kLetters), nullptr,
        Generator::Options{.config = config, .share = {}, .queue_capacity = 8, .observer = &counts_}, queue_, clock_);
    // After this, everything that is created only once exists.
    NoMemory();
    Caller first;
    const std::string text = Long("a");
    Detach(Call(first, *generator_, Request(text, 1)));
    queue_.Finish();
  }

  static GenerationRequest Request(absl::string_view text, int answers) {
    GenerationRequest request;
    request.prompt = TextPrompt{text};
    request.max_tokens = 6;
    AnswerOptions& options = request.options;
    options.answers = answers;
    options.ignore_end = answers == 1;
    options.sampling.temperature = answers == 1 ? 0 : 1;
    options.sampling.repetition_penalty = 1.1;
    options.sampling.logprobs = answers > 1;
    options.sampling.top_logprobs = answers > 1 ? 3 : 0;
    options.stop = {"zzzz"};
    return request;
  }

  // Runs three requests with four answers in all. After `after` allocations one fails, or, with `from_then_on`, all
  // fail. False if none failed.
  bool Run(int64_t after, bool from_then_on) {
    const std::string text = Long(std::string(40, 'b'));
    std::deque<Caller> callers(3);
    bool failed = false;
    {
      const FailingAllocations failing(after, from_then_on);
      for (size_t i = 0; i < callers.size(); ++i) {
        std::optional<Task<>> call;
        {
          // The frame of the call itself belongs to the transport.
          const FailingAllocations::Pause pause;
          call.emplace(Call(callers[i], *generator_, Request(text, i == 1 ? 2 : 1)));
        }
        Detach(*std::move(call));
      }
      queue_.Finish();
      failed = failing.failed();
    }
    for (const Caller& caller : callers) {
      EXPECT_EQ(caller.ends, 1);
      EXPECT_TRUE(caller.status.ok() || absl::IsResourceExhausted(caller.status)) << caller.status;
    }
    EXPECT_EQ(counts_.waiting, 0);
    EXPECT_EQ(counts_.slots, 0);
    Caller next;
    Detach(Call(next, *generator_, Request(text, 1)));
    queue_.Finish();
    EXPECT_TRUE(next.status.ok()) << next.status;
    if (expected_.empty()) expected_ = next.text;
    EXPECT_EQ(next.text, expected_);
    return failed;
  }

  QueueScheduler queue_;
  std::string expected_;
};

TEST_F(GenerationMemoryTest, EveryAllocationThatFailsEndsItsRequestsAndNothingElse) {
  int64_t after = 0;
  while (Run(after, /*from_then_on=*/false) && !HasFailure()) ++after;
  EXPECT_GT(after, 100);
}

TEST_F(GenerationMemoryTest, WithoutAnyMemoryEveryRequestEnds) {
  int64_t after = 0;
  while (Run(after, /*from_then_on=*/true) && !HasFailure()) ++after;
  EXPECT_GT(after, 100);
}

}  // namespace
}  // namespace predictd
