#include "server/generation/generator.h"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/async/work_status.h"
#include "server/model/waiting_order.h"

namespace predictd {
namespace {

constexpr int kWarmUpRounds = 3;
constexpr int64_t kWarmUpPrompt = 32;
// More slots at once are computed in the same way, and each takes memory.
constexpr int64_t kWarmUpSlots = 2;

GeneratorObserver& OrNone(GeneratorObserver* observer) {
  static GeneratorObserver none;
  return observer == nullptr ? none : *observer;
}

// The answers of one request differ by their seeds; the first one uses the request's own.
SamplingOptions ForAnswer(SamplingOptions options, int index) {
  options.seed += static_cast<uint64_t>(index);
  return options;
}

WorkSource::Share OneAtATime(WorkSource::Share share) {
  share.max_concurrency = 1;
  return share;
}

// Each prompt is encoded on one core, and as many at once as cores are free.
StepQueue::Options ForPrompts(const Generator::Options& options) {
  return {.share = {.weight = options.share.weight}, .capacity = static_cast<size_t>(options.queue_capacity)};
}

}  // namespace

Generator::Generator(std::unique_ptr<GeneratorModel> model, std::shared_ptr<const Tokenizer> tokenizer,
                     std::shared_ptr<const ChatTemplate> chat_template, Options options, WorkScheduler& scheduler,
                     const Clock& clock)
    : WorkSource(OneAtATime(options.share)),
      model_(std::move(model)),
      options_(std::move(options)),
      prompts_(options_.config, std::move(tokenizer), std::move(chat_template)),
      observer_(OrNone(options_.observer)),
      scheduler_(scheduler),
      clock_(clock),
      prefixes_(options_.config.slots, options_.config.prefix_slots),
      waiting_(options_.queue_capacity, observer_),
      prompt_turns_(std::make_shared<StepQueue>(ForPrompts(options_), scheduler_)) {
  decoding_.reserve(static_cast<size_t>(options_.config.slots));
}

Generator::~Generator() = default;

Task<absl::StatusOr<RunningAnswers>> Generator::Start(GenerationRequest request, StopSource& stop,
                                                      EncodingTime* encoding) {
  const TimePoint now = clock_.Now();
  const TimePoint place = WaitingPlace(request.deadline, request.priority, now);
  // Before the prompt is encoded, so that no work is done for a request that has no chance.
  absl::StatusOr<WaitingAnswers::Room> room = waiting_.Reserve(request.options.answers, now, place);
  if (!room.ok()) co_return room.status();
  if (!PromptEncoder::IsShort(request.prompt)) {
    StepQueue::Entry turn = prompt_turns_->Enter(place, stop);
    switch (co_await turn) {
      case StepQueue::Outcome::kTurn:
        break;
      case StepQueue::Outcome::kStopped:
        co_return StopStatus(stop.reason(), "the queue");
      case StepQueue::Outcome::kFull:
        // A request that has room in the generator's queue has room here, too.
        co_return absl::InternalError("more prompts wait for a worker than there is room for");
    }
  }
  EncodingTime took = {.started = clock_.Now(), .ended = {}};
  absl::StatusOr<EncodedRequest> encoded = Encode(request, stop);
  took.ended = clock_.Now();
  if (encoding != nullptr) *encoding = took;
  if (!encoded.ok()) co_return encoded.status();
  // Points to the queue, and keeps the generator alive.
  std::shared_ptr<WaitingAnswers> waiting(shared_from_this(), &waiting_);
  RunningAnswers answers(std::move(waiting), *std::move(room), *std::move(encoded), stop);
  scheduler_.Ready(shared_from_this());
  co_return answers;
}

absl::StatusOr<EncodedRequest> Generator::Encode(GenerationRequest& request, const StopSource& stop) const {
  absl::StatusOr<std::vector<int32_t>> prompt = prompts_.Encode(request.prompt, stop);
  if (!prompt.ok()) return prompt.status();
  const int64_t max_length = options_.config.max_length;
  const auto length = static_cast<int64_t>(prompt->size());
  const int64_t max_tokens = request.max_tokens.value_or(max_length - length);
  if (max_tokens > max_length - length) {
    return absl::InvalidArgumentError(absl::StrCat("max_tokens: expected 1 to ", max_length - length,
                                                   ", as the prompt has ", length, " tokens of ", max_length, ", got ",
                                                   max_tokens));
  }
  const absl::Status valid = Sampler::Validate(request.options.sampling, options_.config.vocabulary_size, *prompt);
  if (!valid.ok()) return valid;
  return EncodedRequest{.prompt = *std::move(prompt), .max_tokens = max_tokens, .options = std::move(request.options)};
}

Duration Generator::StepCost() const {
  const auto cost = Duration(step_cost_.load(std::memory_order_relaxed));
  return cost > Duration::zero() ? cost : Duration::max();
}

void Generator::RunStep() {
  const TimePoint started = clock_.Now();
  try {
    DropStopped();
    if (!decoding_.empty()) Decode();
    PrefillNext();
  } catch (...) {
    EndRunning(StatusOfException());
  }
  const TimePoint ended = clock_.Now();
  step_cost_.store((ended - started).count(), std::memory_order_relaxed);
  const bool idle = decoding_.empty() && prefilling_ == nullptr && waiting_.size() == 0;
  ReleaseUnused(ended, idle);
  if (!idle) scheduler_.Ready(shared_from_this());
}

int64_t Generator::SlotsInUse() const {
  const auto decoding = static_cast<int64_t>(decoding_.size());
  return prefilling_ == nullptr ? decoding : std::max(decoding, prefill_slot_ + 1);
}

void Generator::ReleaseUnused(TimePoint now, bool idle) noexcept {
  const UnusedSlots::Range unused = unused_.Take(now, SlotsInUse());
  if (unused.count > 0) model_->ReleaseSlots(unused.first, unused.count);
  if (!idle || !unused_.any() || release_step_ > now) return;
  try {
    scheduler_.ReadyAt(shared_from_this(), unused_.next_look());
    release_step_ = unused_.next_look();
  } catch (const std::bad_alloc&) {
    // Another step will do it.
  }
}

template <class Function>
bool Generator::Contain(AnswerStream& stream, Function function) {
  try {
    return function();
  } catch (...) {
    stream.Stop(StatusOfException());
    return false;
  }
}

void Generator::EndRunning(const absl::Status& status) {
  for (const auto& sequence : decoding_) sequence->stream().Stop(status);
  decoding_.clear();
  if (prefilling_ != nullptr) prefilling_->stream().Stop(status);
  prefilling_.reset();
  ReportSlots();
}

void Generator::DropStopped() {
  for (size_t i = decoding_.size(); i-- > 0;) {
    if (decoding_[i]->stopped()) Retire(i);
  }
  if (prefilling_ != nullptr && prefilling_->stopped()) prefilling_.reset();
  ReportSlots();
}

void Generator::Decode() {
  step_tokens_.clear();
  step_positions_.clear();
  for (const auto& sequence : decoding_) {
    step_tokens_.push_back(sequence->tokens().back());
    step_positions_.push_back(sequence->computed());
  }
  const TimePoint before = clock_.Now();
  const absl::StatusOr<GeneratorModel::Logits> logits = model_->Forward(step_tokens_, step_positions_, 0);
  const Duration took = clock_.Now() - before;
  cost_.RecordDecode(took);
  observer_.OnDecode(static_cast<int64_t>(decoding_.size()), took);
  step_ended_.assign(decoding_.size(), true);
  for (size_t i = 0; i < decoding_.size(); ++i) {
    Sequence& sequence = *decoding_[i];
    if (!logits.ok()) {
      sequence.stream().Stop(logits.status());
      continue;
    }
    sequence.AddComputed(1);
    step_ended_[i] = !ChooseToken(sequence, logits->Row(static_cast<int64_t>(i)));
  }
  for (const auto& sequence : decoding_) sequence->stream().Flush();
  for (size_t i = decoding_.size(); i-- > 0;) {
    if (step_ended_[i]) Retire(i);
  }
  ReportSlots();
}

bool Generator::ChooseToken(Sequence& sequence, absl::Span<float> logits) {
  const TimePoint last = sequence.last_token();
  const TimePoint now = clock_.Now();
  const bool goes_on = Contain(sequence.stream(), [&] { return sequence.ChooseToken(logits, workspace_, now); });
  if (last == TimePoint()) {
    observer_.OnFirstToken(now - sequence.stream().timings().enqueued);
  } else {
    observer_.OnNextToken(now - last);
  }
  return goes_on;
}

void Generator::Admit() {
  while (prefilling_ == nullptr && static_cast<int64_t>(decoding_.size()) < options_.config.slots) {
    const std::optional<WaitingAnswer> next = waiting_.Take();
    if (!next.has_value()) return;
    if (!next->stream->stopped()) Contain(*next->stream, [&] { return MakeSequence(*next); });
  }
  if (prefilling_ == nullptr) return;
  prefill_slot_ = static_cast<int64_t>(decoding_.size());
  ReusePrefix(*prefilling_);
  prefilling_->stream().Begin(clock_.Now(), prefilling_->computed());
  ReportSlots();
}

bool Generator::MakeSequence(const WaitingAnswer& answer) {
  const EncodedRequest& request = *answer.request;
  const GeneratorConfig& config = options_.config;
  std::vector<int32_t> end_tokens = request.options.stop_token_ids;
  if (!request.options.ignore_end) {
    end_tokens.insert(end_tokens.end(), config.end_token_ids.begin(), config.end_token_ids.end());
  }
  absl::StatusOr<Sampler> sampler =
      Sampler::Create(ForAnswer(request.options.sampling, answer.index), config.vocabulary_size, request.prompt);
  if (!sampler.ok()) {
    answer.stream->Stop(sampler.status());
    return false;
  }
  prefilling_ = std::make_unique<Sequence>(answer.request, answer.index, answer.stream, prompts_.tokenizer(),
                                           *std::move(sampler), std::move(end_tokens));
  return true;
}

void Generator::ReusePrefix(Sequence& sequence) {
  if (!sequence.request().options.reuse_prefix) return;
  // The last token must be computed to get its logits.
  const absl::Span<const int32_t> prompt = sequence.tokens().subspan(0, sequence.tokens().size() - 1);
  PrefixStore::Found best = prefixes_.Find(prompt);
  for (size_t i = 0; i < decoding_.size(); ++i) {
    const Sequence& other = *decoding_[i];
    if (!other.request().options.reuse_prefix) continue;
    const int64_t common = CommonPrefix(other.tokens().subspan(0, static_cast<size_t>(other.computed())), prompt);
    if (common > best.tokens && common >= PrefixStore::kLeastTokens) best = {static_cast<int64_t>(i), common};
  }
  best.tokens -= best.tokens % GenerationCost::kPart;
  if (best.tokens == 0 || !Copy(sequence, best.slot, prefill_slot_, 0, best.tokens)) return;
  sequence.AddComputed(best.tokens);
  observer_.OnPrefixReused(best.tokens);
}

void Generator::PrefillNext() {
  const int64_t waiting = waiting_.size() + (prefilling_ != nullptr ? 1 : 0);
  int64_t allowed = cost_.PrefillTokens(static_cast<int64_t>(decoding_.size()), waiting);
  // Copies count only as time, not as tokens.
  const TimePoint end = clock_.Now() + GenerationCost::kLongestPrefill;
  for (TimePoint now{}; allowed >= GenerationCost::kPart && now < end; now = clock_.Now()) {
    if (prefilling_ == nullptr) Admit();
    if (prefilling_ == nullptr) return;
    // A short part reads all weights, too.
    allowed -= std::max(Prefill(allowed), GenerationCost::kPart);
  }
}

int64_t Generator::Prefill(int64_t allowed) {
  Sequence& sequence = *prefilling_;
  const int64_t done = sequence.computed();
  const int64_t left = static_cast<int64_t>(sequence.request().prompt.size()) - done;
  const int64_t count = GenerationCost::Part(left, allowed);
  const TimePoint before = clock_.Now();
  const absl::Span<const int32_t> tokens =
      sequence.tokens().subspan(static_cast<size_t>(done), static_cast<size_t>(count));
  absl::StatusOr<GeneratorModel::Logits> logits = GeneratorModel::Logits();
  if (count == left) {
    logits = model_->Forward(tokens, {done}, prefill_slot_);
  } else if (absl::Status status = model_->Prefill(tokens, {done}, prefill_slot_); !status.ok()) {
    logits = std::move(status);
  }
  const Duration took = clock_.Now() - before;
  cost_.RecordPrefill(count, took);
  observer_.OnPrefill(count, took);
  if (!logits.ok()) {
    sequence.stream().Stop(logits.status());
    prefilling_.reset();
    ReportSlots();
    return count;
  }
  sequence.AddComputed(count);
  if (count < left) return count;

  const bool goes_on = ChooseToken(sequence, logits->Row(0));
  sequence.stream().Flush();
  const auto slot = static_cast<int64_t>(decoding_.size());
  if (!goes_on) {
    KeepPrefix(sequence, prefill_slot_);
  } else if (slot == prefill_slot_ || Copy(sequence, prefill_slot_, slot, 0, sequence.computed())) {
    decoding_.push_back(std::move(prefilling_));
  }
  prefilling_.reset();
  ReportSlots();
  return count;
}

void Generator::KeepPrefix(const Sequence& sequence, int64_t slot) {
  if (!sequence.request().options.reuse_prefix) return;
  const int64_t computed = sequence.computed();
  std::optional<PrefixStore::Place> place;
  bool copied = false;
  try {
    place = prefixes_.Keep(sequence.tokens().subspan(0, static_cast<size_t>(computed)));
    copied = place.has_value() && model_->CopySlot(slot, place->slot, place->begin, computed).ok();
  } catch (...) {
    copied = false;
  }
  // No request depends on the copy, but none may use a prefix that is not there.
  if (place.has_value() && !copied) prefixes_.Forget(place->slot);
}

void Generator::Retire(size_t index) {
  KeepPrefix(*decoding_[index], static_cast<int64_t>(index));
  bool filled = false;
  while (!filled && decoding_.size() - 1 > index) {
    Sequence& moved = *decoding_.back();
    filled = Copy(moved, static_cast<int64_t>(decoding_.size()) - 1, static_cast<int64_t>(index), 0, moved.computed());
    if (filled) decoding_[index] = std::move(decoding_.back());
    decoding_.pop_back();
  }
  if (!filled) decoding_.pop_back();
}

bool Generator::Copy(Sequence& sequence, int64_t from, int64_t to, int64_t begin, int64_t end) {
  return Contain(sequence.stream(), [&] {
    absl::Status copied = model_->CopySlot(from, to, begin, end);
    const bool ok = copied.ok();
    if (!ok) sequence.stream().Stop(std::move(copied));
    return ok;
  });
}

void Generator::ReportSlots() {
  auto slots = static_cast<int64_t>(decoding_.size());
  int64_t cached_tokens = 0;
  for (const auto& sequence : decoding_) cached_tokens += sequence->computed();
  if (prefilling_ != nullptr) {
    ++slots;
    cached_tokens += prefilling_->computed();
  }
  unused_.Use(SlotsInUse());
  observer_.OnSlotsUsed(slots, cached_tokens);
}

absl::Status Generator::WarmUp(const RunThere& run, const std::atomic<bool>& stopping) {
  const GeneratorConfig& config = options_.config;
  const int64_t prompt = std::min(kWarmUpPrompt, config.max_length - 1);
  const int64_t slots = std::min(kWarmUpSlots, config.slots);
  // One token in each of so many slots, or so many in the first one. Few positions, because each one takes memory.
  const auto forward = [&](int64_t tokens, int64_t used) {
    absl::Status status = absl::CancelledError("the server shuts down");
    if (stopping) return status;
    run([&] {
      const std::vector<int32_t> ids(static_cast<size_t>(tokens), 0);
      const std::vector<int64_t> positions(static_cast<size_t>(used), 0);
      const TimePoint before = clock_.Now();
      status = model_->Forward(ids, positions, 0).status();
      if (used < tokens) cost_.RecordPrefill(tokens, clock_.Now() - before);
    });
    return status;
  };
  for (int round = 0; round < kWarmUpRounds; ++round) {
    if (absl::Status status = forward(prompt, 1); !status.ok()) return status;
    for (int64_t rows = 1; rows <= slots; ++rows) {
      if (absl::Status status = forward(rows, rows); !status.ok()) return status;
    }
  }
  run([&] { model_->ReleaseSlots(0, config.slots); });
  return absl::OkStatus();
}

}  // namespace predictd
