#ifndef PREDICTD_SERVER_GENERATION_GENERATOR_H_
#define PREDICTD_SERVER_GENERATION_GENERATOR_H_

#include <atomic>
#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/async/worker_pool.h"
#include "server/generation/answer_stream.h"
#include "server/generation/chat_template.h"
#include "server/generation/generation.h"
#include "server/generation/generation_cost.h"
#include "server/generation/prefix_store.h"
#include "server/generation/sequence.h"
#include "server/generation/tokenizer.h"
#include "server/model/generator_config.h"
#include "server/model/generator_model.h"

namespace predictd {

// Told what a generator does, on any thread; must be quick.
class GeneratorObserver {
 public:
  virtual ~GeneratorObserver() = default;
  // Answers that wait for a slot; the changes add up to 0 when nothing is left.
  virtual void OnWaitingChange(int64_t by) = 0;
  // Answers that are being generated now, and their tokens in the model's cache.
  virtual void OnSlotsUsed(int64_t slots, int64_t cached_tokens) = 0;
  // A part of a prompt, or a token of each of so many sequences, was computed.
  virtual void OnPrefill(int64_t tokens, Duration took) = 0;
  virtual void OnDecode(int64_t sequences, Duration took) = 0;
  // Tokens of a prompt that were taken over from what is kept of earlier ones.
  virtual void OnPrefixReused(int64_t tokens) = 0;
  // Between a request's arrival and its first token, and between two tokens of an answer.
  virtual void OnFirstToken(Duration since_arrival) = 0;
  virtual void OnNextToken(Duration since_last) = 0;
};

// Runs one generator version by continuous batching: each step computes the next token of all running answers at once,
// and beside it what there is time for of the next prompts; who ends makes room for who waits. Thread-safe.
//
// The running answers lie in the slots 0, 1, ... of the model's cache without a gap, because the model computes slots
// that lie together; the prompt that is being computed lies behind them. When an answer ends, the last one is moved
// into its slot.
class Generator final : public WorkSource, public std::enable_shared_from_this<Generator> {
 public:
  struct Options {
    GeneratorConfig config;
    // max_concurrency is 1 in any case.
    Share share = {};
    // Answers that may wait.
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

  WorkScheduler& scheduler() const { return scheduler_; }
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
    // Where its answers stand while they wait.
    TimePoint order_;
    int64_t first_ = 0;
    int count_ = 0;
  };

  // Queues a request. RESOURCE_EXHAUSTED with advice on when to retry if too many wait; INVALID_ARGUMENT if a sampling
  // option is wrong.
  absl::StatusOr<Request> Start(GenerationRequest request);

  // Ends the request for its caller at once, with that status; the slots are free before the next step. Harmless when
  // it has ended.
  void Stop(Request& request, const absl::Status& status);

  // Computes a prompt and a few tokens in every number of slots that is a power of two, on this thread. Before the
  // first Start. CANCELLED soon after `stopping` has become true: it is looked at between runs.
  absl::Status WarmUp(const std::atomic<bool>& stopping);

  void RunStep() override;
  Duration StepCost() const override;
  // A step depends on who has come: it is never for an event loop.
  bool Steady() const override { return false; }

 private:
  // Those that wait, by deadline within a level of priority.
  struct Place {
    TimePoint order;
    int64_t number;
    auto operator<=>(const Place&) const = default;
  };

  void DropStopped();
  void Decode();
  // Takes the next one that waits, if a slot is free.
  void Admit();
  // Copies the beginning of the prompt that another slot has.
  void ReusePrefix(Sequence& sequence);
  // Computes parts of prompts, one after the other, as much as a step may take.
  void PrefillNext();
  // Computes at most so many tokens of the prompt at hand, if not just a few are left; returns how many.
  int64_t Prefill(int64_t allowed);
  // Keeps what is worth it of a slot that will be used for something else.
  void KeepPrefix(const Sequence& sequence, int64_t slot);
  // Takes a running answer out, and puts the last one into its slot.
  void Retire(size_t index);
  // Whether it worked; if not, the request has failed.
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

  mutable Mutex mutex_;
  std::map<Place, std::unique_ptr<Sequence>> waiting_ ABSL_GUARDED_BY(mutex_);
  int64_t started_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_GENERATOR_H_
