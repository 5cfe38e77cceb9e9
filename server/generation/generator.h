#ifndef PREDICTD_SERVER_GENERATION_GENERATOR_H_
#define PREDICTD_SERVER_GENERATION_GENERATOR_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/step_queue.h"
#include "server/async/stop.h"
#include "server/async/task.h"
#include "server/async/worker_pool.h"
#include "server/generation/answer_stream.h"
#include "server/generation/generation.h"
#include "server/generation/generation_cost.h"
#include "server/generation/generator_observer.h"
#include "server/generation/prefix_store.h"
#include "server/generation/prompt_encoder.h"
#include "server/generation/running_answers.h"
#include "server/generation/sequence.h"
#include "server/generation/unused_slots.h"
#include "server/generation/waiting_answers.h"
#include "server/model/generator_config.h"
#include "server/model/generator_model.h"
#include "server/template/chat_template.h"
#include "server/tokenizer/tokenizer.h"

namespace predictd {

// Runs one version of a generator by continuous batching: each step computes the next token of all running answers at
// once and, beside it, as much of the next prompts as there is time for. An answer that ends makes room for one that
// waits. Thread-safe.
//
// The running answers lie in the slots 0, 1, ... of the model's KV cache without a gap, because the model computes
// adjacent slots; the prompt that is being computed lies behind them. When an answer ends, the last one is moved into
// its slot.
//
// If memory runs out, the answers that needed it end with RESOURCE_EXHAUSTED, and their slots become free.
class Generator final : public WorkSource, public std::enable_shared_from_this<Generator> {
 public:
  struct Options {
    GeneratorConfig config;
    // max_concurrency is ignored: it is always 1.
    Share share = {};
    // How many answers may wait, including those whose prompts are not encoded yet.
    int64_t queue_capacity = 1024;
    // May be null. It must outlive the generator.
    GeneratorObserver* observer = nullptr;
  };

  // The model must have config.slots + config.prefix_slots slots. `chat_template` may be null. The scheduler and the
  // clock must outlive the generator.
  Generator(std::unique_ptr<GeneratorModel> model, std::shared_ptr<const Tokenizer> tokenizer,
            std::shared_ptr<const ChatTemplate> chat_template, Options options, WorkScheduler& scheduler,
            const Clock& clock);
  ~Generator() override;

  const GeneratorConfig& config() const { return options_.config; }
  // Checks prompts, which callers do before they start a request.
  const PromptEncoder& prompts() const { return prompts_; }

  // Encodes the prompt and queues the answers to it. The caller continues
  //   on this thread if the prompt is short, or if too many answers wait: RESOURCE_EXHAUSTED with advice on when to
  //   retry, before any work is done;
  //   on a worker otherwise, for which the prompt waits by deadline and priority;
  //   on the thread that stopped `stop`, at once, if the prompt still waits then: the StopStatus.
  // INVALID_ARGUMENT, as "field: description" of a WrongField, for what only the tokens show: see
  // PromptEncoder::Encode; also for max_tokens, if the prompt does not leave so much room, and for sampling options.
  // Where encoding has begun, `encoding`, which may be null, becomes its time, even if it fails.
  //
  // PromptEncoder::Check must have found nothing wrong with the prompt. The generator, `stop` and what the prompt
  // refers to must outlive the await; `stop` must also outlive the answers.
  Task<absl::StatusOr<RunningAnswers>> Start(GenerationRequest request, StopSource& stop,
                                             EncodingTime* encoding = nullptr);

  // Calls a function on the thread that is to be warm, and returns once it has run.
  using RunThere = std::function<void(const std::function<void()>& function)>;
  // Computes a prompt in one slot, and then one token each in one slot and in two, some times; then gives back the
  // memory of these slots. Each run of the model is given to `run`. Must be called before the first Start. CANCELLED
  // soon after `stopping` has become true, which is checked between runs.
  absl::Status WarmUp(const RunThere& run, const std::atomic<bool>& stopping);

  void RunStep() override;
  Duration StepCost() const override;

 private:
  // Encodes the prompt, and checks what needs its tokens.
  absl::StatusOr<EncodedRequest> Encode(GenerationRequest& request, const StopSource& stop) const;

  // Ends everything that runs, because a step threw something that concerns all of it.
  void EndRunning(const absl::Status& status);
  // Runs `function` for one answer. If it throws, that answer ends and the result is false.
  template <class Function>
  bool Contain(AnswerStream& stream, Function function);
  void DropStopped();
  void Decode();
  // Takes the next waiting answer if a slot is free.
  void Admit();
  // Makes that answer the one whose prompt is computed. False if it has ended instead.
  bool MakeSequence(const WaitingAnswer& answer);
  // Copies the beginning of the prompt from another slot that has it.
  void ReusePrefix(Sequence& sequence);
  // Computes parts of prompts, one after the other, as much as a step may.
  void PrefillNext();
  // Computes about `allowed` tokens of the current prompt, and up to a quarter more if that completes it. Returns how
  // many.
  int64_t Prefill(int64_t allowed);
  // Keeps what is worth keeping of a slot that is about to be reused. Never throws.
  void KeepPrefix(const Sequence& sequence, int64_t slot);
  // Takes a running answer out and moves the last one into its slot. An answer that cannot be moved there ends as well:
  // what lies in the slot is not its own, so no caller may see it.
  void Retire(size_t index);
  // Whether the copy worked; if it did not, the request has failed. Never throws.
  bool Copy(Sequence& sequence, int64_t from, int64_t to, int64_t begin, int64_t end);
  // Lets a sequence choose its next token from the logits. Returns whether its answer goes on.
  bool ChooseToken(Sequence& sequence, absl::Span<float> logits);
  void ReportSlots();
  // The number of slots from the first one to the last one in use.
  int64_t SlotsInUse() const;
  // Gives back the memory of slots that have been unused for a while, and schedules a step for that even if there are
  // no requests.
  void ReleaseUnused(TimePoint now, bool idle) noexcept;

  const std::unique_ptr<GeneratorModel> model_;
  const Options options_;
  const PromptEncoder prompts_;
  GeneratorObserver& observer_;
  WorkScheduler& scheduler_;
  const Clock& clock_;
  // The duration of the last step.
  std::atomic<Duration::rep> step_cost_{0};

  // The fields from here to release_step_ are used only by steps, of which one runs at a time.
  GenerationCost cost_;
  PrefixStore prefixes_;
  // decoding_[i] is the answer in slot i.
  std::vector<std::unique_ptr<Sequence>> decoding_;
  std::unique_ptr<Sequence> prefilling_;
  int64_t prefill_slot_ = 0;
  SamplingWorkspace workspace_;
  std::vector<int32_t> step_tokens_;
  std::vector<int64_t> step_positions_;
  std::vector<bool> step_ended_;
  UnusedSlots unused_;
  // A step that releases slots is already scheduled for this time.
  TimePoint release_step_{};

  WaitingAnswers waiting_;
  // Where long prompts wait for a worker.
  const std::shared_ptr<StepQueue> prompt_turns_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_GENERATOR_H_
