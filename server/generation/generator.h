#ifndef PREDICTD_SERVER_GENERATION_GENERATOR_H_
#define PREDICTD_SERVER_GENERATION_GENERATOR_H_

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/step_queue.h"
#include "server/async/worker_pool.h"
#include "server/generation/answer_stream.h"
#include "server/generation/chat_template.h"
#include "server/generation/generation.h"
#include "server/generation/generation_cost.h"
#include "server/generation/generator_observer.h"
#include "server/generation/prefix_store.h"
#include "server/generation/sequence.h"
#include "server/generation/tokenizer.h"
#include "server/generation/waiting_answers.h"
#include "server/model/generator_config.h"
#include "server/model/generator_model.h"

namespace predictd {

// Runs one generator version by continuous batching: each step computes the next token of all running answers at once,
// and beside it what there is time for of the next prompts; who ends makes room for who waits. Thread-safe.
//
// The running answers lie in the slots 0, 1, ... of the model's cache without a gap, because the model computes slots
// that lie together; the prompt that is being computed lies behind them. When an answer ends, the last one is moved
// into its slot.
//
// Where memory runs out, the answers that needed it end with RESOURCE_EXHAUSTED, and their slots are free.
class Generator final : public WorkSource, public std::enable_shared_from_this<Generator> {
 public:
  struct Options {
    GeneratorConfig config;
    // max_concurrency is 1 in any case.
    Share share = {};
    // Answers that may wait, also those whose prompts are not in tokens yet.
    int64_t queue_capacity = 1024;
    // May be null; outlives the generator.
    GeneratorObserver* observer = nullptr;
  };

  // The model has config.slots + config.prefix_slots slots. `chat_template` may be null. Scheduler and clock outlive
  // the generator.
  Generator(std::unique_ptr<GeneratorModel> model, std::shared_ptr<const Tokenizer> tokenizer,
            std::shared_ptr<const ChatTemplate> chat_template, Options options, WorkScheduler& scheduler,
            const Clock& clock);
  ~Generator() override;

  const GeneratorConfig& config() const { return options_.config; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  // Null if the model has none.
  const ChatTemplate* chat_template() const { return chat_template_.get(); }

  // A request that was started.
  class Request {
   public:
    AnswerStream& answers() { return *answers_; }

   private:
    friend class Generator;
    std::shared_ptr<AnswerStream> answers_;
    WaitingAnswers::Ticket ticket_;
  };

  // Room in the queue for the answers of a request, to be taken before its prompt is put into tokens: then nothing is
  // done for a request that has no chance. RESOURCE_EXHAUSTED with advice on when to retry if too many wait. The
  // generator outlives the room.
  absl::StatusOr<WaitingAnswers::Room> Reserve(int answers, int64_t priority, TimePoint deadline);

  // Where to wait for a worker that puts a long prompt into tokens, at the place of the request's room.
  StepQueue& prompts() { return *prompts_; }

  // Queues a request, whose answers are as many as the room is for. INVALID_ARGUMENT if a sampling option or a token is
  // wrong.
  absl::StatusOr<Request> Start(GenerationRequest request, WaitingAnswers::Room room);
  // Both at once.
  absl::StatusOr<Request> Start(GenerationRequest request);

  // Ends the request for its caller at once, with that status; the slots are free before the next step. Harmless when
  // it has ended.
  void Stop(Request& request, const absl::Status& status);
  // The same for a caller who no longer looks; needs no memory.
  void Abandon(Request& request) noexcept { Stop(request, abandoned_); }

  // Computes a prompt and a few tokens in every number of slots that is a power of two, on this thread. Before the
  // first Start. CANCELLED soon after `stopping` has become true: it is looked at between runs.
  absl::Status WarmUp(const std::atomic<bool>& stopping);

  void RunStep() override;
  Duration StepCost() const override;

 private:
  // Ends everything that runs: what a step threw that concerns all of it.
  void EndRunning(const absl::Status& status);
  // Runs what is done for one answer. What it throws ends that one, and is false.
  template <class Function>
  bool Contain(AnswerStream& stream, Function function);
  // Of the exception that is being handled.
  absl::Status CaughtStatus() const;
  void DropStopped();
  void Decode();
  // Takes the next one that waits, if a slot is free.
  void Admit();
  // Makes it the one whose prompt is computed. False if it has ended instead.
  bool MakeSequence(const WaitingAnswer& answer);
  // Copies the beginning of the prompt that another slot has.
  void ReusePrefix(Sequence& sequence);
  // Computes parts of prompts, one after the other, as much as a step may take.
  void PrefillNext();
  // Computes at most so many tokens of the prompt at hand, if not just a few are left; returns how many.
  int64_t Prefill(int64_t allowed);
  // Keeps what is worth it of a slot that will be used for something else. Never throws.
  void KeepPrefix(const Sequence& sequence, int64_t slot);
  // Takes a running answer out, and puts the last one into its slot.
  void Retire(size_t index);
  // Whether it worked; if not, the request has failed. Never throws.
  bool Copy(Sequence& sequence, int64_t from, int64_t to, int64_t begin, int64_t end);
  // Gives the logits to a sequence; whether its answer goes on.
  bool Take(Sequence& sequence, absl::Span<float> logits);
  void ReportSlots();

  const std::unique_ptr<GeneratorModel> model_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const std::shared_ptr<const ChatTemplate> chat_template_;
  const Options options_;
  GeneratorObserver& observer_;
  WorkScheduler& scheduler_;
  const Clock& clock_;
  // Made while there is memory.
  const absl::Status no_memory_ = absl::ResourceExhaustedError("the server has no memory for the answer");
  const absl::Status abandoned_ = absl::CancelledError("nobody waits for the answer");
  const absl::Status unknown_error_ = absl::InternalError("a step of the generator threw what is no exception");
  // Of the last step.
  std::atomic<Duration::rep> step_cost_{0};

  // Of the steps, of which one runs at a time.
  GenerationCost cost_;
  PrefixStore prefixes_;
  // In slot i: the answer i.
  std::vector<std::unique_ptr<Sequence>> decoding_;
  std::unique_ptr<Sequence> prefilling_;
  int64_t prefill_slot_ = 0;
  SamplingWorkspace workspace_;
  std::vector<int32_t> step_tokens_;
  std::vector<int64_t> step_positions_;
  std::vector<bool> step_ended_;

  WaitingAnswers waiting_;
  const std::shared_ptr<StepQueue> prompts_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_GENERATOR_H_
