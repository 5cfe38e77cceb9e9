#include "server/generation/answer_stream.h"

#include <algorithm>
#include <utility>

namespace predictd {

AnswerStream::AnswerStream(int answers, int64_t prompt_tokens, TimePoint enqueued) : running_(answers) {
  timings_.enqueued = enqueued;
  timings_.prompt_tokens = prompt_tokens;
}

Task<absl::StatusOr<std::vector<AnswerPiece>>> AnswerStream::Next() {
  while (true) {
    {
      MutexLock lock(mutex_);
      if (!status_.ok()) co_return status_;
      if (!pending_.empty() || running_ == 0) co_return std::exchange(pending_, {});
    }
    co_await news_.Wait();
  }
}

GenerationTimings AnswerStream::timings() const {
  MutexLock lock(mutex_);
  return timings_;
}

void AnswerStream::Stop(absl::Status status) {
  if (stopped_.exchange(true, std::memory_order_acq_rel)) return;
  {
    MutexLock lock(mutex_);
    status_ = std::move(status);
  }
  news_.Set();
}

void AnswerStream::Begin(TimePoint now, int64_t cached_tokens) {
  MutexLock lock(mutex_);
  if (timings_.started != TimePoint()) return;
  timings_.started = now;
  timings_.cached_tokens = cached_tokens;
}

void AnswerStream::Add(int index, std::string text, SampledToken token, TimePoint now) {
  MutexLock lock(mutex_);
  AnswerPiece& piece = Pending(index);
  piece.text += text;
  piece.tokens.push_back(std::move(token));
  if (timings_.first_token == TimePoint()) timings_.first_token = now;
  timings_.last_token = now;
  ++timings_.generated_tokens;
}

void AnswerStream::Finish(int index, std::string text, FinishReason reason) {
  MutexLock lock(mutex_);
  AnswerPiece& piece = Pending(index);
  piece.text += text;
  piece.finish_reason = reason;
  ++(reason == FinishReason::kStop ? timings_.stopped_answers : timings_.cut_answers);
  --running_;
}

AnswerPiece& AnswerStream::Pending(int index) {
  const auto found = std::find_if(pending_.begin(), pending_.end(),
                                  [index](const AnswerPiece& piece) { return piece.index == index; });
  if (found != pending_.end()) return *found;
  return pending_.emplace_back(AnswerPiece{.index = index, .text = {}, .tokens = {}, .finish_reason = {}});
}

}  // namespace predictd
